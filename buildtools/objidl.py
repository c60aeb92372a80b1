#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn object IDL, as [MS-ISTM] prints it, into what the build needs.

pidl compiles RPC interfaces; it neither flattens COM inheritance nor knows
ORPC's implicit arguments. So istm.idl and the other object IDL files keep the
form of the specification, and this program derives from each of them

  pidl IDL        one RPC interface per family (a base and all that derives
                  from it), every method in opnum order behind ORPCTHIS and
                  ORPCTHAT, named after the interface that declares it
  C               interface and class descriptors (librpc/com.h), a typed
                  function table per family and the thunks that call it
  Python          the same calls and structures for impacket, for the tests
  a listing       "interface opnum method declared-by", for the table test

Usage: objidl.py [--pidl FILE] [--header FILE] [--source FILE]
                 [--python FILE] [--list FILE] INPUT.idl

Object IDL understood here: import, const, typedef enum and struct, interfaces
with uuid(), single inheritance, propget/propput, in/out/size_is parameters,
and coclasses, for the classes that a server offers:

    [uuid(...)] coclass Name { [default] interface IFoo; interface IBar; };

One attribute of our own: [secret] keeps a parameter out of debug prints.
"""

import argparse
import os
import re
import sys

IUNKNOWN_METHODS = 3		# QueryInterface, AddRef, Release

# Types of [MS-DTYP] and of plain IDL: pidl's name, impacket's name, size.
BASE_TYPES = {
    'boolean': ('uint8', 'BOOLEAN8'),
    'BYTE': ('uint8', 'UCHAR'),
    'char': ('uint8', 'UCHAR'),
    'byte': ('uint8', 'UCHAR'),
    'unsigned char': ('uint8', 'UCHAR'),
    'WCHAR': ('uint16', 'USHORT'),
    'WORD': ('uint16', 'USHORT'),
    'unsigned short': ('uint16', 'USHORT'),
    'BOOL': ('uint32', 'ULONG'),
    'DWORD': ('uint32', 'ULONG'),
    'ULONG': ('uint32', 'ULONG'),
    'unsigned long': ('uint32', 'ULONG'),
    'unsigned int': ('uint32', 'ULONG'),
    'long': ('int32', 'LONG'),
    'int': ('int32', 'LONG'),
    'hyper': ('hyper', 'ULONGLONG'),
    'DWORDLONG': ('hyper', 'ULONGLONG'),
    'HRESULT': ('HRESULT', 'ULONG'),
    'GUID': ('GUID', 'GUID'),
    'BSTR': ('BSTR', 'BSTR'),
}

TOKEN = re.compile(r'''
    (?P<ws>\s+|//[^\n]*|/\*.*?\*/) |
    (?P<string>"[^"\n]*") |
    (?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-
             [0-9a-fA-F]{4}-[0-9a-fA-F]{12}) |
    (?P<num>-?(?:0[xX][0-9a-fA-F]+|[0-9]+)) |
    (?P<id>[A-Za-z_][A-Za-z0-9_]*) |
    (?P<op>[\[\]{}();:,*=+~&/-])
''', re.X | re.S)


class IdlError(Exception):
    """A mistake in the input, with its place."""


class Param:
    """One parameter, or one member of a structure."""

    def __init__(self, attrs, type_, stars, name, array):
        self.attrs = attrs	# {name: argument or True}
        self.type = type_
        self.stars = stars
        self.name = name
        self.array = array	# None, '' for [], or a number

    @property
    def is_in(self):
        return 'in' in self.attrs

    @property
    def is_out(self):
        return 'out' in self.attrs


class Method:
    """A method, known by its interface and its wire name."""

    def __init__(self, interface, name, params):
        self.interface = interface
        self.name = name	# with get_ or put_
        self.params = params

    @property
    def call(self):
        return '%s_%s' % (self.interface.name, self.name)


class Interface:
    """A COM interface; methods are its own, without those of its base."""

    def __init__(self, name, iid, base):
        self.name = name
        self.iid = iid
        self.base_name = base
        self.base = None
        self.methods = []

    @property
    def first_opnum(self):
        if self.base is None:
            return IUNKNOWN_METHODS
        return self.base.first_opnum + len(self.base.methods)

    @property
    def num_calls(self):
        return self.first_opnum + len(self.methods)

    @property
    def family(self):
        return self if self.base is None else self.base.family

    def chain(self):
        """This interface and its bases, the root first."""
        return ([] if self.base is None else self.base.chain()) + [self]


class Parser:
    """A recursive-descent parser over the token list of one file."""

    def __init__(self, text, filename):
        self.filename = filename
        self.tokens = []
        pos = line = 0
        line = 1
        while pos < len(text):
            m = TOKEN.match(text, pos)
            if m is None:
                raise IdlError('%s:%d: cannot read %r' % (
                    filename, line, text[pos:pos + 20]))
            if m.lastgroup != 'ws':
                self.tokens.append((m.lastgroup, m.group(), line))
            line += m.group().count('\n')
            pos = m.end()
        self.pos = 0
        self.imports = []
        self.consts = {}
        self.enums = {}		# name -> [(item, value)]
        self.structs = {}	# name -> [Param]
        self.order = []		# ('enum'|'struct', name) as declared
        self.interfaces = {}
        self.classes = []	# (name, clsid, [interface names])

    def fail(self, what):
        line = self.tokens[min(self.pos, len(self.tokens) - 1)][2]
        raise IdlError('%s:%d: %s' % (self.filename, line, what))

    def peek(self):
        if self.pos >= len(self.tokens):
            return None
        return self.tokens[self.pos][1]

    def next(self):
        tok = self.peek()
        if tok is None:
            self.fail('unexpected end')
        self.pos += 1
        return tok

    def expect(self, want):
        tok = self.next()
        if tok != want:
            self.pos -= 1
            self.fail('expected %r, found %r' % (want, tok))
        return tok

    def accept(self, want):
        if self.peek() == want:
            self.pos += 1
            return True
        return False

    def ident(self):
        if self.pos < len(self.tokens) and self.tokens[self.pos][0] != 'id':
            self.fail('expected a name, found %r' % self.peek())
        return self.next()

    def parse(self):
        while self.peek() is not None:
            attrs = self.attributes()
            tok = self.next()
            if tok == 'import':
                self.imports.append(self.next().strip('"'))
                while self.accept(','):
                    self.imports.append(self.next().strip('"'))
                self.expect(';')
            elif tok == 'const':
                self.const()
            elif tok == 'typedef':
                self.typedef()
            elif tok == 'interface':
                self.interface(attrs)
            elif tok == 'coclass':
                self.coclass(attrs)
            else:
                self.pos -= 1
                self.fail('unexpected %r' % tok)
        self.resolve()
        return self

    def attributes(self):
        attrs = {}
        while self.accept('['):
            while not self.accept(']'):
                name = self.ident()
                value = True
                if self.accept('('):
                    depth, value = 1, []
                    while depth:
                        tok = self.next()
                        depth += (tok == '(') - (tok == ')')
                        if depth:
                            value.append(tok)
                    value = ''.join(value)
                attrs[name] = value
                if self.peek() != ']':
                    self.expect(',')
        return attrs

    def number(self):
        """A constant expression of additions."""
        total = 0
        while True:
            kind, text, _ = self.tokens[self.pos]
            self.pos += 1
            if kind == 'num':
                total += int(text, 0)
            elif text in self.consts:
                total += self.consts[text]
            else:
                self.pos -= 1
                self.fail('unknown constant %r' % text)
            if not self.accept('+'):
                return total

    def const(self):
        self.ident()
        name = self.ident()
        self.expect('=')
        self.consts[name] = self.number()
        self.expect(';')

    def typedef(self):
        kind = self.next()
        if kind not in ('enum', 'struct'):
            self.fail('typedef of %r is not supported' % kind)
        if self.peek() != '{':
            self.ident()	# the tag, which nothing refers to
        self.expect('{')
        if kind == 'enum':
            body = self.enum_body()
        else:
            body = []
            while not self.accept('}'):
                body.append(self.declaration())
                self.expect(';')
        name = self.ident()
        self.expect(';')
        if name in self.enums or name in self.structs:
            self.fail('%s is defined twice' % name)
        (self.enums if kind == 'enum' else self.structs)[name] = body
        self.order.append((kind, name))

    def enum_body(self):
        items, value = [], -1
        while not self.accept('}'):
            name = self.ident()
            value = self.number() if self.accept('=') else value + 1
            items.append((name, value))
            if self.peek() != '}':
                self.expect(',')
        return items

    def declaration(self):
        attrs = self.attributes()
        words = [self.ident()]
        if words[0] == 'unsigned':
            words.append(self.ident())
        stars = 0
        while self.accept('*'):
            stars += 1
        name = self.ident()
        array = None
        if self.accept('['):
            array = '' if self.peek() == ']' else self.number()
            self.expect(']')
        while self.accept('['):
            # NDR lays arrays of arrays out flat (C706 14.3.3.1), and pidl
            # has no fixed ones of more than one dimension.
            array *= self.number()
            self.expect(']')
        return Param(attrs, ' '.join(words), stars, name, array)

    def interface(self, attrs):
        name = self.ident()
        self.expect(':')
        base = self.ident()
        if 'uuid' not in attrs:
            self.fail('%s has no uuid' % name)
        if name in self.interfaces:
            self.fail('%s is defined twice' % name)
        iface = Interface(name, attrs['uuid'].lower(), base)
        self.expect('{')
        while not self.accept('}'):
            self.method(iface)
        self.accept(';')
        self.interfaces[name] = iface

    def method(self, iface):
        attrs = self.attributes()
        self.expect('HRESULT')
        name = self.ident()
        if 'propget' in attrs:
            name = 'get_' + name
        elif 'propput' in attrs:
            name = 'put_' + name
        params = []
        self.expect('(')
        while not self.accept(')'):
            params.append(self.declaration())
            if self.peek() != ')':
                self.expect(',')
        self.expect(';')
        iface.methods.append(Method(iface, name, params))

    def coclass(self, attrs):
        name = self.ident()
        self.expect('{')
        ifaces = []
        while not self.accept('}'):
            default = 'default' in self.attributes()
            self.expect('interface')
            ifaces.insert(0 if default else len(ifaces), self.ident())
            self.expect(';')
        self.accept(';')
        self.classes.append((name, attrs['uuid'].lower(), ifaces))

    def resolve(self):
        """Link bases, and check what the emitters rely on."""
        for iface in self.interfaces.values():
            if iface.base_name != 'IUnknown':
                if iface.base_name not in self.interfaces:
                    raise IdlError('%s: %s derives from unknown %s' % (
                        self.filename, iface.name, iface.base_name))
                iface.base = self.interfaces[iface.base_name]
        for root in self.roots():
            seen = {}
            for m in self.family_methods(root):
                if m.name in seen:
                    raise IdlError('%s: family %s has two methods %s' % (
                        self.filename, root.name, m.name))
                seen[m.name] = m
        for name, _, ifaces in self.classes:
            for i in ifaces:
                if i not in self.interfaces:
                    raise IdlError('%s: class %s offers unknown %s' % (
                        self.filename, name, i))

    def roots(self):
        return [i for i in self.interfaces.values() if i.base is None]

    def family(self, root):
        """All interfaces of a family, least derived first. The call table
        of a family is that of its last member, so it must be a chain."""
        members = sorted((i for i in self.interfaces.values()
                          if i.family is root), key=lambda i: len(i.chain()))
        for shorter, longer in zip(members, members[1:]):
            if longer.base is not shorter:
                raise IdlError('%s: %s and %s fork from one base' % (
                    self.filename, shorter.name, longer.name))
        return members

    def family_methods(self, root):
        return [m for i in self.family(root) for m in i.methods]

    def is_interface(self, type_):
        return type_ in self.interfaces or type_ == 'IUnknown'


# --------------------------------------------------------------- pidl IDL


def pidl_type(idl, type_):
    if idl.is_interface(type_):
        return 'MInterfacePointer'
    return BASE_TYPES.get(type_, (type_,))[0]


def pidl_member(idl, p):
    attrs = ['%s(%s)' % (k, v) for k, v in p.attrs.items()
             if k in ('size_is', 'range')]
    attrs += [k for k in ('unique', 'ref') if k in p.attrs]
    text = '[%s] ' % ','.join(attrs) if attrs else ''
    text += '%s %s%s' % (pidl_type(idl, p.type), '*' * p.stars, p.name)
    if p.array is not None:
        text += '[%s]' % p.array
    return text


def pidl_param(idl, p):
    """Spell out what [MS-RPCE] 2.2.4.9 leaves implicit: a top-level pointer
    is a ref pointer, except that an interface pointer by itself is unique."""
    attrs = [k for k in ('in', 'out') if k in p.attrs]
    if p.stars:
        if idl.is_interface(p.type) and p.stars == 1:
            attrs.append('unique')
        elif 'unique' in p.attrs:
            attrs.append('unique')
        else:
            attrs.append('ref')
    attrs += ['%s(%s)' % (k, v) for k, v in p.attrs.items()
              if k in ('size_is', 'range')]
    if 'secret' in p.attrs:
        attrs.append('flag(LIBNDR_FLAG_IS_SECRET)')
    text = '[%s] %s %s%s' % (','.join(attrs), pidl_type(idl, p.type),
                             '*' * p.stars, p.name)
    if p.array is not None:
        text += '[%s]' % p.array
    return text


def emit_pidl(idl, source):
    out = ['/* Generated from %s by objidl.py: do not edit. */' % source, '']
    imports = ['misc.idl'] + [i for i in idl.imports if i != 'misc.idl']
    out.append('import %s;' % ', '.join('"%s"' % i for i in imports))
    out.append('')
    base = os.path.splitext(source)[0]
    if idl.order or idl.consts:
        out += ['[', '\tpointer_default(unique)', ']',
                'interface %s_types' % base, '{']
        for name, value in idl.consts.items():
            out.append('\tconst int %s = %d;' % (name, value))
        for kind, name in idl.order:
            out.append('')
            out.append('\ttypedef [public] %s {' % kind)
            if kind == 'enum':
                items = idl.enums[name]
                for i, (item, value) in enumerate(items):
                    # Enumerations are 16 bits on the wire.
                    text = '0x%04x' % (value & 0xffff) if value < 0 \
                        else '%d' % value
                    out.append('\t\t%s = %s%s' % (
                        item, text, ',' if i + 1 < len(items) else ''))
            else:
                for p in idl.structs[name]:
                    out.append('\t\t%s;' % pidl_member(idl, p))
            out.append('\t} %s;' % name)
        out += ['}', '']
    for root in idl.roots():
        out += emit_pidl_family(idl, root)
    return '\n'.join(out) + '\n'


def emit_pidl_family(idl, root):
    out = ['[', '\tuuid("%s"),' % root.iid, '\tversion(0.0),',
           '\tpointer_default(unique)', ']',
           'interface %s' % root.name, '{']
    for opnum in range(IUNKNOWN_METHODS):
        out.append('\tvoid %s_Opnum%dNotUsedOnWire();' % (root.name, opnum))
    for opnum, m in enumerate(idl.family_methods(root), IUNKNOWN_METHODS):
        lines = ['[in] ORPCTHIS ORPCthis', '[out,ref] ORPCTHAT *ORPCthat']
        lines += [pidl_param(idl, p) for p in m.params]
        out += ['', '\t/* %d */' % opnum, '\tHRESULT %s(' % m.call]
        out.append(',\n'.join('\t\t' + l for l in lines))
        out.append('\t\t);')
    out += ['}', '']
    return out


# ---------------------------------------------------------------- C output


def c_guid(uuid):
    a, b, c, d, e = uuid.split('-')
    node = [e[i:i + 2] for i in range(0, 12, 2)]
    return ('{ 0x%s, 0x%s, 0x%s, { 0x%s, 0x%s },\n\t\t  { %s } }' % (
        a, b, c, d[:2], d[2:], ', '.join('0x' + n for n in node)))


def emit_header(idl, base, source):
    guard = '_COM_%s_H_' % base.upper()
    out = ['/* Generated from %s by objidl.py: do not edit. */' % source,
           '#ifndef %s' % guard, '#define %s' % guard, '',
           '#include "librpc/com.h"',
           '#include "gen_ndr/ndr_%s.h"' % base, '']
    for name in idl.interfaces:
        out.append('extern const struct com_interface com_%s;' % name)
    out.append('')
    for name, _, _ in idl.classes:
        out.append('extern const struct com_class com_class_%s;' % name)
    out += ['', '/* All interfaces of the file, ended by NULL. */',
            'extern const struct com_interface *const com_%s_interfaces[];'
            % base,
            '#define COM_%s_NUM_INTERFACES %d' % (base.upper(),
                                                 len(idl.interfaces))]
    out += ['', '/* All classes of the file, ended by NULL. */',
            'extern const struct com_class *const com_%s_classes[];' % base,
            '#define COM_%s_NUM_CLASSES %d' % (base.upper(),
                                              len(idl.classes)), '']
    for root in idl.roots():
        members = idl.family(root)
        out.append('/* %s. A NULL member answers E_NOTIMPL. */' % ', '.join(
            i.name for i in members))
        out.append('struct %s_vtbl {' % root.name)
        for i in members:
            out.append('\t/* %s: opnums %d to %d */' % (
                i.name, i.first_opnum, i.num_calls - 1))
            for m in i.methods:
                out.append('\tHRESULT (*%s)(struct dcom_call *call, '
                           'void *self,\n\t\tstruct %s *r);' % (
                               m.name, m.call))
        out += ['};', '']
    out += ['#endif /* %s */' % guard]
    return '\n'.join(out) + '\n'


def emit_source(idl, base, source):
    out = ['/* Generated from %s by objidl.py: do not edit. */' % source,
           '#include "gen_ndr/com_%s.h"' % base, '',
           '#define COM_METHOD(iface, method, opnum) \\',
           '\t{ \\',
           '\t\t.name = #method, \\',
           '\t\t.declared_by = &com_##iface, \\',
           '\t\t.size = sizeof(struct iface##_##method), \\',
           '\t\t.orpcthis = offsetof(struct iface##_##method, \\',
           '\t\t\t\t\t in.ORPCthis), \\',
           '\t\t.orpcthat = offsetof(struct iface##_##method, \\',
           '\t\t\t\t\t out.ORPCthat), \\',
           '\t\t.result = offsetof(struct iface##_##method, \\',
           '\t\t\t\t       out.result), \\',
           '\t\t.thunk = thunk_##iface##_##method, \\',
           '\t}', '',
           '#define COM_THUNK(family, iface, method) \\',
           '\tstatic HRESULT thunk_##iface##_##method( \\',
           '\t\tconst void *vtbl, struct dcom_call *call, void *self, \\',
           '\t\tvoid *r) \\',
           '\t{ \\',
           '\t\tconst struct family##_vtbl *v = vtbl; \\',
           '\t\tif (v->method == NULL) { \\',
           '\t\t\treturn HRES_E_NOTIMPL; \\',
           '\t\t} \\',
           '\t\treturn v->method(call, self, r); \\',
           '\t} \\',
           '\tstatic bool has_##iface##_##method(const void *vtbl) \\',
           '\t{ \\',
           '\t\treturn ((const struct family##_vtbl *)vtbl)->method != '
           'NULL; \\',
           '\t}', '']
    # what decides "is this implemented", for the generated list of gaps
    i = out.index('\t\t.thunk = thunk_##iface##_##method, \\')
    out.insert(i + 1, '\t\t.implemented = has_##iface##_##method, \\')
    for root in idl.roots():
        methods = idl.family_methods(root)
        for m in methods:
            out.append('COM_THUNK(%s, %s, %s)' % (
                root.name, m.interface.name, m.name))
        out += ['', 'static const struct com_method methods_%s[] = {'
                % root.name]
        for opnum, m in enumerate(methods, IUNKNOWN_METHODS):
            out.append('\t[%d] = COM_METHOD(%s, %s, %d),' % (
                opnum, m.interface.name, m.name, opnum))
        out += ['};', '']
        for i in idl.family(root):
            out += ['const struct com_interface com_%s = {' % i.name,
                    '\t.name = "%s",' % i.name,
                    '\t.iid = %s,' % c_guid(i.iid),
                    '\t.base = %s,' % ('&com_' + i.base.name if i.base
                                       else 'NULL'),
                    '\t.family = &com_%s,' % root.name,
                    '\t.ndr = &ndr_table_%s,' % root.name,
                    '\t.first_opnum = %d,' % i.first_opnum,
                    '\t.num_calls = %d,' % i.num_calls,
                    '\t.methods = methods_%s,' % root.name, '};', '']
    out += ['const struct com_interface *const com_%s_interfaces[] = {'
            % base]
    out += ['\t&com_%s,' % n for n in idl.interfaces]
    out += ['\tNULL,', '};', '']
    for name, clsid, ifaces in idl.classes:
        out += ['const struct com_class com_class_%s = {' % name,
                '\t.name = "%s",' % name,
                '\t.clsid = %s,' % c_guid(clsid),
                '\t.interfaces = {']
        out += ['\t\t&com_%s,' % i for i in ifaces]
        out += ['\t\tNULL,', '\t},', '};', '']
    out += ['const struct com_class *const com_%s_classes[] = {' % base]
    out += ['\t&com_class_%s,' % n for n, _, _ in idl.classes]
    out += ['\tNULL,', '};']
    return '\n'.join(out) + '\n'


# ----------------------------------------------------------------- listing


def emit_list(idl):
    out = []
    for name, clsid, ifaces in idl.classes:
        out.append('class %s %s %s' % (name, clsid, ' '.join(ifaces)))
    for i in idl.interfaces.values():
        out.append('interface %s %s %s' % (i.name, i.iid, i.base_name))
    for i in idl.interfaces.values():
        opnum = IUNKNOWN_METHODS
        for member in i.chain():
            for m in member.methods:
                out.append('method %s %d %s %s' % (
                    i.name, opnum, m.name, member.name))
                opnum += 1
    return '\n'.join(out) + '\n'


# ------------------------------------------------------------------ Python


def emit_python(idl, source):
    import objidl_impacket
    return objidl_impacket.emit(idl, source)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--pidl')
    ap.add_argument('--header')
    ap.add_argument('--source')
    ap.add_argument('--python')
    ap.add_argument('--list')
    ap.add_argument('input')
    args = ap.parse_args()
    with open(args.input, encoding='utf-8') as f:
        text = f.read()
    source = os.path.basename(args.input)
    base = os.path.splitext(source)[0]
    try:
        idl = Parser(text, args.input).parse()
        outputs = [(args.pidl, lambda: emit_pidl(idl, source)),
                   (args.header, lambda: emit_header(idl, base, source)),
                   (args.source, lambda: emit_source(idl, base, source)),
                   (args.python, lambda: emit_python(idl, source)),
                   (args.list, lambda: emit_list(idl))]
        for path, emit in outputs:
            if path:
                text = emit()
                with open(path, 'w', encoding='utf-8') as f:
                    f.write(text)
    except IdlError as e:
        sys.exit('objidl: %s' % e)


if __name__ == '__main__':
    main()
