# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel and an initramfs for the test guests, from Debian's packages.

The packages are downloaded and unpacked, not installed: installing a kernel
would touch the boot loader, installing open-iscsi would start its daemon.
"""
import fcntl
import glob
import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess

# What a guest may run: from the packages installed on this machine,
HOST_TOOLS = ["mke2fs", "mkfs.ext4", "e2fsck", "sfdisk", "blockdev",
              "blkdiscard", "fstrim", "filefrag", "fio", "lsblk", "sg_*"]
# and from packages that are only unpacked.
PACKAGES = ["open-iscsi", "libopeniscsiusr", "libisns0", "multipath-tools",
            "liburcu8", "libjson-c5", "libedit2", "libaio1", "udev",
            "dmsetup", "libdevmapper1.02.1", "xfsprogs", "libinih1",
            "btrfs-progs", "liblzo2-2", "sdparm", "smartmontools",
            "libcap-ng0"]
PACKAGED = ["sbin/iscsistart", "sbin/iscsid", "sbin/iscsiadm",
            "sbin/multipathd", "sbin/multipath", "sbin/dmsetup",
            "bin/udevadm", "lib/udev/scsi_id", "sbin/mkfs.xfs",
            "sbin/mkfs.btrfs", "bin/sdparm", "sbin/smartctl"]
# Found by name at run time: the plugins of multipathd; the rules without
# which devices have no names and device-mapper waits for ever.
PLUGINS = ["lib/multipath/libchecktur.so", "lib/multipath/libprioalua.so",
           "lib/multipath/libpriosysfs.so", "lib/multipath/libprioconst.so"]
RULES = ["50-udev-default", "55-dm", "56-dm-mpath", "60-block",
         "60-multipath", "60-persistent-storage",
         "60-persistent-storage-dm", "95-dm-notify"]
MODULES = ["virtio_net", "virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod",
           "sg", "ext4", "iscsi_tcp", "crc32c_generic", "crc32c_intel",
           "dm_multipath", "scsi_dh_alua", "dm_round_robin",
           "dm_service_time", "loop"]
# Loaded by who wants them (load in tests/guest/lib): they take seconds.
MODULES_LATER = ["xfs", "btrfs"]

INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run/lock /mnt /var/lib /etc
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
. /guest.lib
echo "guest: up after $(cut -d' ' -f1 /proc/uptime) s"
(. /guest.script)
status=$?
if [ $status = 0 ]; then sync; else tell_state; fi
# Again, if the kernel has had a word in it.
while true; do echo "GUEST-EXIT $status"; sleep 5; done
"""


def run(*args, **kwargs):
    return subprocess.run(args, check=True, text=True,
                          stdout=subprocess.PIPE, **kwargs).stdout


def kernel_package():
    """linux-image-amd64 is a name for the newest such image."""
    out = run("apt-cache", "depends", "linux-image-amd64")
    return re.search(r"Depends: (linux-image-\S+)", out).group(1)


def unpack(names, into, work):
    os.makedirs(work, exist_ok=True)
    subprocess.run(["apt-get", "-q", "download", *names], cwd=work,
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    for deb in glob.glob(f"{work}/*.deb"):
        subprocess.run(["dpkg", "-x", deb, into], check=True)
    shutil.rmtree(work)


def in_tree(tree, name):
    """Packages have /lib or /usr/lib, as they please; None: neither."""
    for where in (f"{tree}/{name}", f"{tree}/usr/{name}"):
        if os.path.exists(where):
            return where
    return None


def libraries(binary, tree):
    path = [f"{tree}/{name}" for name in (
        "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", "lib")]
    env = dict(os.environ, LD_LIBRARY_PATH=":".join(path))
    out = subprocess.run(["ldd", binary], env=env, text=True,
                         stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL).stdout
    lost = re.findall(r"(\S+) => not found", out)
    if lost:
        raise SystemExit(f"guest image: {binary} needs {', '.join(lost)}")
    return set(re.findall(r"(?:=> |^\s*)(/\S+) \(0x", out, re.M))


def install(source, root, name):
    target = os.path.join(root, name.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(os.path.realpath(source), target)
    os.chmod(target, 0o755)


def install_program(source, root, name, tree):
    install(source, root, name)
    for lib in libraries(source, tree):
        name = lib
        if lib.startswith(tree):
            name = lib[len(tree):]
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

    def add(path, order):
        if path in order:
            return
        for dep in needs[path]:
            add(dep, order)
        order.append(path)

    for file, names in [("modules.order", MODULES)] + [
            (f"modules.{name}", [name]) for name in MODULES_LATER]:
        order = []
        for name in names:
            if name in path_of:
                add(path_of[name], order)
        with open(f"{root}/{file}", "w") as f:
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


def install_tools(tree, root):
    for tool in PACKAGED:
        install_program(in_tree(tree, tool), root, f"/{tool}", tree)
    for plugin in PLUGINS:
        install_program(in_tree(tree, plugin), root, f"/{plugin}", tree)
    for rule in RULES:
        name = f"lib/udev/rules.d/{rule}.rules"
        install(in_tree(tree, name), root, name)
    # udevadm is the daemon when called so.
    os.symlink("/bin/udevadm", f"{root}/sbin/udevd")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for tool in HOST_TOOLS:
        found = sorted(where for folder in path.split(":")
                       for where in glob.glob(f"{folder}/{tool}"))
        if not found:
            raise SystemExit(f"guest image: {tool} is not installed")
        for where in found:
            with open(where, "rb") as f:
                script = f.read(2) == b"#!"
            if not script:
                install_program(where, root,
                                f"/tools/{os.path.basename(where)}", tree)
    install(shutil.which("busybox", path=path), root, "/bin/busybox")
    # pthread_cancel() wants it.
    unwinder = "lib/x86_64-linux-gnu/libgcc_s.so.1"
    install(f"/{unwinder}", root, unwinder)
    install(f"{tree}/etc/iscsi/iscsid.conf", root, "etc/iscsi/iscsid.conf")
    for name, text in (("etc/passwd", "root:x:0:0::/:/bin/sh\n"),
                       ("etc/group", "root:x:0:\ndisk:x:6:\n"),
                       ("etc/mke2fs.conf", open("/etc/mke2fs.conf").read()),
                       ("init", INIT)):
        with open(f"{root}/{name}", "w") as f:
            f.write(text)
    os.chmod(f"{root}/init", os.stat(f"{root}/init").st_mode | stat.S_IXUSR)


def build(cache):
    """Return (kernel, initramfs), made once and kept in cache; tests that run
    side by side wait for the first of them."""
    with open(f"{cache}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_locked(cache)


def build_locked(cache):
    package = kernel_package()
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
    try:
        unpack([package, *PACKAGES], tree, f"{tmp}/debs")
        install_modules(tree, root)
        install_tools(tree, root)
        cpio(root, f"{tmp}/initramfs.gz")
        image = glob.glob(f"{tree}/boot/vmlinuz-*")[0]
        shutil.copy(image, f"{tmp}/vmlinuz")
        shutil.rmtree(tree)
        shutil.rmtree(root)
        with open(f"{tmp}/made-by", "w") as f:
            f.write(maker)
        shutil.rmtree(done, ignore_errors=True)
        os.rename(tmp, done)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    return kernel, initramfs
