# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel and an initramfs for the test guests, from Debian's packages.

The packages are downloaded and unpacked, not installed: installing a kernel
would touch the boot loader, installing open-iscsi would start its daemon.
"""
import glob
import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess

# What a guest may run, from the packages installed on this machine.
HOST_TOOLS = ["mke2fs", "mkfs.ext4", "e2fsck", "sfdisk", "blockdev", "fio",
              "sg_inq", "sg_persist", "sg_readcap", "sg_raw", "lsblk"]
OPTIONAL_TOOLS = {"fio", "sg_inq", "sg_persist", "sg_readcap", "sg_raw",
                  "lsblk"}
PACKAGES = ["open-iscsi", "libopeniscsiusr"]
MODULES = ["virtio_net", "virtio_pci", "e1000", "sd_mod", "sg", "ext4",
           "iscsi_tcp", "crc32c_generic", "crc32c_intel", "dm_multipath",
           "scsi_dh_alua", "dm_round_robin", "dm_service_time", "loop"]

INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /mnt /var/lib /etc
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/tools:/sbin:/usr/sbin:/bin:/usr/bin HOME=/
hostname guest
while read -r module; do insmod "$module" 2>/dev/null; done < /modules.order
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
. /guest.env
echo "guest: up after $(cut -d' ' -f1 /proc/uptime) s"
sh /guest.script
echo "GUEST-EXIT $?"
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def run(*args, **kwargs):
    return subprocess.run(args, check=True, text=True,
                          stdout=subprocess.PIPE, **kwargs).stdout


def kernel_package(flavour):
    """linux-image-cloud-amd64 is a name for the newest such image."""
    out = run("apt-cache", "depends", f"linux-image-{flavour}amd64")
    return re.search(r"Depends: (linux-image-\S+)", out).group(1)


def unpack(names, into, work):
    os.makedirs(work, exist_ok=True)
    subprocess.run(["apt-get", "-q", "download", *names], cwd=work,
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    for deb in glob.glob(f"{work}/*.deb"):
        subprocess.run(["dpkg", "-x", deb, into], check=True)
    shutil.rmtree(work)


def libraries(binary, library_path):
    env = dict(os.environ, LD_LIBRARY_PATH=library_path)
    out = subprocess.run(["ldd", binary], env=env, text=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    return set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", out, re.M))


def install(source, root, name):
    target = os.path.join(root, name.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(os.path.realpath(source), target)
    os.chmod(target, 0o755)


def install_program(source, root, name, library_path):
    install(source, root, name)
    for lib in libraries(source, library_path):
        name = lib if "/lib" in lib[:5] else "/lib/" + os.path.basename(lib)
        if library_path and lib.startswith(library_path):
            name = "/lib/x86_64-linux-gnu/" + os.path.basename(lib)
        install(lib, root, name)


def install_modules(tree, root):
    """Copy the wanted modules with what they need; note a load order."""
    lib = "lib/modules" if os.path.isdir(f"{tree}/lib/modules") \
        else "usr/lib/modules"
    version = os.listdir(f"{tree}/{lib}")[0]
    base = f"{tree}/{lib}/{version}"
    depmod = shutil.which("depmod") or "/sbin/depmod"
    subprocess.run([depmod, "-b", tree, version], check=True)
    needs, path_of = {}, {}
    for line in open(f"{base}/modules.dep"):
        path, _, deps = line.partition(":")
        needs[path] = deps.split()
        name = os.path.basename(path).split(".ko")[0].replace("-", "_")
        path_of[name] = path
    order = []

    def add(path):
        if path in order:
            return
        for dep in needs[path]:
            add(dep)
        order.append(path)

    for name in MODULES:
        if name in path_of:
            add(path_of[name])
    with open(f"{root}/modules.order", "w") as f:
        for path in order:
            install(f"{base}/{path}", root, f"/modules/{path}")
            f.write(f"/modules/{path}\n")
    return version


def cpio(root, out):
    names = subprocess.run(["find", ".", "-mindepth", "1", "-print0"],
                           cwd=root, check=True,
                           stdout=subprocess.PIPE).stdout
    data = subprocess.run(["cpio", "-0", "-o", "-H", "newc", "-R", "0:0",
                           "--quiet"], cwd=root, check=True, input=names,
                          stdout=subprocess.PIPE).stdout
    with gzip.open(out, "wb", compresslevel=1) as f:
        f.write(data)


def build(cache, flavour="cloud-"):
    """Return (kernel, initramfs), made once and kept in cache."""
    package = kernel_package(flavour)
    done = os.path.join(cache, package)
    kernel, initramfs = f"{done}/vmlinuz", f"{done}/initramfs.gz"
    stamp = f"{done}/made-by"
    with open(__file__, "rb") as f:
        maker = hashlib.sha256(f.read()).hexdigest()
    if os.path.exists(stamp) and open(stamp).read() == maker:
        return kernel, initramfs
    tmp = f"{done}.{os.getpid()}"
    tree, root = f"{tmp}/tree", f"{tmp}/root"
    os.makedirs(root)
    unpack([package, *PACKAGES], tree, f"{tmp}/debs")
    install_modules(tree, root)
    libs = f"{tree}/usr/lib/x86_64-linux-gnu"
    for tool in ["sbin/iscsistart", "sbin/iscsid", "usr/bin/iscsiadm"]:
        for where in (f"{tree}/{tool}", f"{tree}/usr/{tool}"):
            if os.path.exists(where):
                install_program(where, root, f"/sbin/{os.path.basename(tool)}",
                                libs)
                break
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for tool in HOST_TOOLS:
        where = shutil.which(tool, path=path)
        if where:
            install_program(where, root, f"/tools/{tool}", "")
        elif tool not in OPTIONAL_TOOLS:
            raise SystemExit(f"guest image: {tool} is not installed")
    install(shutil.which("busybox", path=path), root, "/bin/busybox")
    os.makedirs(f"{root}/etc/iscsi", exist_ok=True)
    for name, text in (("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
                       ("etc/mke2fs.conf", open("/etc/mke2fs.conf").read()),
                       ("init", INIT)):
        with open(f"{root}/{name}", "w") as f:
            f.write(text)
    os.chmod(f"{root}/init", os.stat(f"{root}/init").st_mode | stat.S_IXUSR)
    cpio(root, f"{tmp}/initramfs.gz")
    image = glob.glob(f"{tree}/boot/vmlinuz-*")[0]
    shutil.copy(image, f"{tmp}/vmlinuz")
    shutil.rmtree(tree)
    shutil.rmtree(root)
    with open(f"{tmp}/made-by", "w") as f:
        f.write(maker)
    shutil.rmtree(done, ignore_errors=True)
    os.rename(tmp, done)
    return kernel, initramfs
