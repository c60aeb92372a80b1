# SPDX-License-Identifier: GPL-3.0-or-later
"""What all wscripts share: compiler flags, packages, libraries, programs."""

import os
import subprocess

from waflib.Configure import conf

# -Wunused-parameter is left out: callbacks of tevent, talloc and dcesrv have
# the parameters that the caller dictates.
WARNINGS = """-Wall -Wextra -Wno-unused-parameter -Wmissing-prototypes
    -Wstrict-prototypes -Wold-style-definition -Wpointer-arith
    -Wwrite-strings -Werror""".split()
# For what pidl writes. Checked for undefined behaviour, its 40,000 lines would
# take longer to compile than all else together.
GENERATED = ["-w"]

PACKAGES = """dcerpc dcerpc_server ndr samba-util samba-credentials
    samba-hostconfig talloc tevent tdb uuid libcrypto liburing popt
    cmocka""".split()

# Samba's private headers, by folder of its source: for server/auth alone.
PRIVATE_INCLUDES = ". include source3 source3/include source4 lib lib/replace \
    lib/talloc lib/tevent source4/auth source4/lib auth librpc".split()


def options(opt):
    opt.load("compiler_c")
    group = opt.add_option_group("istmd")
    group.add_option("--cc", default=os.environ.get("CC", "gcc"),
                     help="C compiler, gcc or clang [$CC, or gcc]")
    group.add_option("--enable-asan", action="store_true", default=False,
                     help="AddressSanitizer, with leaks and undefined"
                     " behaviour")
    group.add_option("--enable-tsan", action="store_true", default=False,
                     help="ThreadSanitizer")
    group.add_option("--enable-fuzzing", action="store_true", default=False,
                     help="libFuzzer in tests/fuzz, needs clang; with"
                     " AddressSanitizer")


def configure(conf):
    conf.env.CC = [conf.options.cc]
    conf.options.check_c_compiler = \
        "clang" if "clang" in conf.options.cc else "gcc"
    conf.load("compiler_c")
    conf.load("clang_compilation_database")
    conf.find_program("perl", var="PERL")
    conf.find_program("python3", var="PYTHON", path_list=["/usr/bin"])

    conf.env.SAMBA_SOURCE = os.environ["SAMBA_SOURCE"]
    conf.env.PIDL = os.path.join(conf.env.SAMBA_SOURCE, "pidl", "pidl")

    conf.env.CFLAGS = "-std=gnu11 -g -O2 -fno-omit-frame-pointer -fno-common \
        -fstack-protector-strong -pthread -D_FILE_OFFSET_BITS=64".split()
    conf.env.LINKFLAGS = ["-pthread", "-Wl,-z,relro,-z,now"]
    sanitize = []
    if conf.options.enable_asan or conf.options.enable_fuzzing:
        sanitize = ["-fsanitize=address,undefined",
                    "-fno-sanitize-recover=undefined"]
    if conf.options.enable_tsan:
        if sanitize:
            conf.fatal("--enable-asan and --enable-tsan exclude each other")
        sanitize = ["-fsanitize=thread"]
    if conf.options.enable_fuzzing:
        conf.env.append_value("CFLAGS", "-fsanitize=fuzzer-no-link")
        conf.env.FUZZING = ["-fsanitize=fuzzer"]
    if sanitize:
        conf.env.append_value("CFLAGS", ["-O1"] + sanitize)
    conf.env.append_value("LINKFLAGS", sanitize)
    conf.env.GENERATED = GENERATED + (
        ["-fno-sanitize=undefined"] if sanitize else [])

    for package in PACKAGES:
        conf.check_cfg(package=package, args=["--cflags", "--libs"],
                       uselib_store=package.upper().replace("-", "_"))
    # In place of a HAVE_... for each package; they all have to be there.
    conf.env.DEFINES = ["_GNU_SOURCE=1"]
    if not sanitize:
        conf.env.DEFINES += ["_FORTIFY_SOURCE=2"]
    for package in PACKAGES:
        key = "DEFINES_" + package.upper().replace("-", "_")
        conf.env[key] = [d for d in conf.env[key]
                         if not d.startswith("_GNU_SOURCE")]

    # Of samba-dev, but no package describes them to pkg-config.
    conf.env.LIB_SAMBA_ERRORS = ["samba-errors"]
    conf.env.LIB_DCERPC_SERVER = ["dcerpc-server-core"]
    conf.env.LIB_SMBCONF = ["smbconf", "samba-passdb", "tevent-util"]

    # Private libraries have no development symlink and are found by rpath.
    libdir = subprocess.check_output(
        ["pkg-config", "--variable=libdir", "dcerpc_server"],
        text=True).strip()
    conf.env.SAMBA_LIBDIR = os.path.join(libdir, "samba")
    if not os.path.isdir(conf.env.SAMBA_LIBDIR):
        conf.fatal("no Samba libraries in " + conf.env.SAMBA_LIBDIR)

    # Private headers include generated ones by their path in Samba's own
    # build; those that are public are in samba-dev, elsewhere.
    public = conf.env.INCLUDES_DCERPC_SERVER[0]
    conf.env.SAMBA_GENERATED = conf.bldnode.make_node("samba").abspath()
    for link, header in (("librpc/gen_ndr", "gen_ndr"),
                         ("libcli/util/ntstatus_gen.h",
                          "core/ntstatus_gen.h")):
        link = os.path.join(conf.env.SAMBA_GENERATED, link)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not os.path.lexists(link):
            os.symlink(os.path.join(public, header), link)


@conf
def samba_private(bld, *names):
    """Return the name for 'use' that links Samba's private libraries."""
    key = "SAMBA_PRIVATE_" + "_".join(names).upper().replace("-", "_")
    libdir = bld.env.SAMBA_LIBDIR
    bld.env["LINKFLAGS_" + key] = [
        "-Wl,--no-as-needed", "-L" + libdir, "-Wl,-rpath," + libdir
    ] + ["-l:lib%s-samba4.so.0" % name for name in names] + [
        "-Wl,--as-needed"]
    return key


@conf
def samba_private_cflags(bld):
    """Find Samba's private headers, after all others."""
    return ["-isystem" + os.path.normpath(os.path.join(
        bld.env.SAMBA_SOURCE, d)) for d in PRIVATE_INCLUDES] + [
            "-isystem" + bld.env.SAMBA_GENERATED]


@conf
def istm_includes(bld):
    """Own headers are named from the top: "vhd/vhd.h", "gen_ndr/istm.h"."""
    return [bld.srcnode, bld.bldnode, bld.bldnode.make_node("librpc")]


def known(bld, use):
    """Spell out groups; drop own libraries that have no sources."""
    groups = getattr(bld, "istm_groups", {})
    result = []
    for name in use.split():
        result += groups.get(name, [name])
    return result


@conf
def istm_group(bld, name, members):
    """Let 'name' in 'use' stand for several libraries, or for none."""
    groups = getattr(bld, "istm_groups", {})
    groups[name] = known(bld, members)
    bld.istm_groups = groups


@conf
def istm_stlib(bld, name, source, use="", cflags=(), warnings=True):
    """A static library of our own sources, none if there are no sources."""
    source = list(source)
    if not source:
        bld.istm_group(name, "")
        return None
    return bld.stlib(target=name, source=source, use=known(bld, use),
                     cflags=(WARNINGS if warnings else bld.env.GENERATED) +
                     list(cflags), includes=bld.istm_includes())


@conf
def istm_program(bld, name, source, use="", install=None, **kw):
    source = list(source)
    if not source:
        return None
    return bld.program(target=name, source=source, use=known(bld, use),
                       cflags=WARNINGS, includes=bld.istm_includes(),
                       install_path=install, **kw)


@conf
def istm_glob(bld, pattern, **kw):
    return bld.path.ant_glob(pattern, **kw)


def build(bld):
    bld.load("pidl", tooldir="buildtools/waftools")
    bld.add_post_fun(link_compile_commands)


def link_compile_commands(bld):
    """Editors look for it at the top; it is the last built flavour's."""
    link = os.path.join(bld.srcnode.abspath(), "compile_commands.json")
    target = os.path.join(bld.bldnode.path_from(bld.srcnode),
                          "compile_commands.json")
    if not os.path.exists(os.path.join(bld.srcnode.abspath(), target)):
        return
    if os.path.islink(link):
        if os.readlink(link) == target:
            return
        os.unlink(link)
    elif os.path.exists(link):
        return
    os.symlink(target, link)
