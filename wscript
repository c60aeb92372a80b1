# SPDX-License-Identifier: GPL-3.0-or-later
# Build of istmd. Run by buildtools/waf, or through make.

import os

APPNAME = "istmd"
VERSION = "0.1"

top = "."
out = "build/" + os.environ.get("ISTM_FLAVOUR", "default")

FOLDERS = "lib librpc vhd target isns server client tests"


def folders(ctx):
    return [f for f in FOLDERS.split()
            if os.path.exists(os.path.join(ctx.path.abspath(), f, "wscript"))]


def options(opt):
    opt.load("gnu_dirs")
    opt.load("istm", tooldir="buildtools/waftools")


def configure(conf):
    conf.load("gnu_dirs")
    conf.load("istm", tooldir="buildtools/waftools")


def build(bld):
    bld.load("istm", tooldir="buildtools/waftools")
    for folder in folders(bld):
        bld.recurse(folder)
    bld(features="subst", source="packaging/istmd.service.in",
        target="packaging/istmd.service", SBINDIR=bld.env.SBINDIR,
        install_path="${PREFIX}/lib/systemd/system")
    bld.install_files("${MANDIR}/man8", bld.path.ant_glob("docs/man/*.8"))
