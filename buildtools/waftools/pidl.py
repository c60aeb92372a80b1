# SPDX-License-Identifier: GPL-3.0-or-later
"""pidl and objidl as waf tasks.

pidl is taken from the Samba source. It runs in build/FLAVOUR/librpc with
gen_ndr as output folder, so that the files that it writes include each other
as "gen_ndr/...".
"""

import os
import subprocess

from waflib import Task
from waflib.Configure import conf

PIDL_OUTPUTS = ["%s.h", "ndr_%s.h", "ndr_%s.c", "ndr_%s_c.h", "ndr_%s_c.c",
                "ndr_%s_s.c"]


class pidl(Task.Task):
    color = "BLUE"
    ext_out = [".h"]
    before = ["c"]
    vars = ["PIDL", "PERL", "SAMBA_SOURCE"]

    def __str__(self):
        return self.inputs[0].name

    def keyword(self):
        return "Compiling IDL"

    def run(self):
        bld = self.generator.bld
        librpc = self.outputs[0].parent.parent
        environ = dict(os.environ, CC=self.env.CC[0],
                       CPP=self.env.CC[0] + " -E")
        environ.pop("srcdir", None)
        command = self.env.PERL + [
            self.env.PIDL, "--quiet", "--outputdir", "gen_ndr", "--header",
            "--ndr-parser", "--client", "--server"]
        for folder in self.includedirs:
            command += ["--includedir", folder]
        command += ["--", self.inputs[0].abspath()]
        done = subprocess.run(command, cwd=librpc.abspath(), env=environ,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        missing = [o for o in self.outputs[:3]
                   if not os.path.exists(o.abspath())]
        if done.returncode or missing or done.stdout:
            bld.to_log(" ".join(command) + "\n" + done.stdout)
        if done.returncode or missing:
            return done.returncode or 1
        for node in self.outputs[3:]:
            # Written only where there are calls.
            if not os.path.exists(node.abspath()):
                node.write("")
        return 0


class objidl(Task.Task):
    color = "BLUE"
    ext_out = [".h", ".idl"]
    before = ["c", "pidl"]

    def __str__(self):
        return self.inputs[0].name

    def keyword(self):
        return "Flattening"

    def run(self):
        command = self.env.PYTHON + ["-B", self.inputs[1].abspath()]
        for option, node in zip(self.options, self.outputs):
            command += [option, node.abspath()]
        return self.exec_command(command + [self.inputs[0].abspath()])


@conf
def istm_pidl(bld, source):
    """Compile one IDL file; return the nodes of its C files to be compiled."""
    name = os.path.splitext(source.name)[0]
    gen = bld.bldnode.find_or_declare("librpc/gen_ndr/%s.h" % name).parent
    gen.mkdir()
    tgen = bld(name="pidl_" + name, before=["c"])
    outputs = [gen.find_or_declare(o % name) for o in PIDL_OUTPUTS]
    task = tgen.create_task("pidl", [source], outputs)
    task.includedirs = [
        bld.srcnode.find_node("librpc/idl").abspath(),
        gen.parent.make_node("idl").abspath(),
        os.path.join(bld.env.SAMBA_SOURCE, "librpc", "idl"),
        os.path.join(bld.env.SAMBA_SOURCE, "source4", "librpc", "idl")]
    # An IDL file may import any other, and pidl reads the imported one.
    for idl in bld.srcnode.ant_glob("librpc/idl/*.idl"):
        if idl is not source:
            bld.add_manual_dependency(source, idl)
    return [n for n in outputs if n.name in
            ("ndr_%s.c" % name, "ndr_%s_c.c" % name)]


@conf
def istm_objidl(bld, source):
    """Flatten object IDL; return the IDL for pidl and further C files."""
    name = os.path.splitext(source.name)[0]
    librpc = bld.bldnode.find_or_declare("librpc/gen_ndr/x").parent.parent
    outputs = [librpc.find_or_declare(o % name) for o in
               ("idl/%s.idl", "gen_ndr/com_%s.h", "gen_ndr/com_%s.c",
                "%s_methods.txt", "%s.py")]
    tools = [bld.srcnode.find_node("buildtools/" + tool)
             for tool in ("objidl.py", "objidl_impacket.py")]
    tgen = bld(name="objidl_" + name)
    task = tgen.create_task("objidl", [source] + tools, outputs)
    task.options = ["--pidl", "--header", "--source", "--list", "--python"]
    return outputs[0], [outputs[2]]
