/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * istmctl disk check and repair: on a file of this machine, by the library
 * that serves it. MS-ISTM has no such method, and a file that is served is
 * locked, so that it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "client/istmctl.h"
#include "vhd/vhd.h"

static int file_fail(const char *path, const char *message, int error)
{
	if (error == EWOULDBLOCK) {
		message = "in use: delete its disk on the server first, or "
			  "stop the server";
	}
	fprintf(stderr, "istmctl: %s: %s\n", path,
		message != NULL ? message : strerror(error));
	return 1;
}

static int check_result(struct ctl *ctl, const struct vhd_check *check)
{
	bool bad = check->errors != 0 || check->mended < check->mendable;

	fprintf(stderr, "%s", check->report);
	output_record(ctl->out);
	output_string(ctl->out, "state",
		      check->errors != 0 ? "damaged"
		      : bad		 ? "can be repaired"
		      : check->mended	 ? "repaired"
					 : "good");
	output_number(ctl->out, "errors", check->errors);
	output_number(ctl->out, "mendable", check->mendable);
	output_number(ctl->out, "mended", check->mended);
	output_size(ctl->out, "leaked", check->leaked);
	output_one(ctl->out);
	return bad ? 1 : 0;
}

static int check_file(struct ctl *ctl, bool repair)
{
	const char *path = ctl->args[0];
	struct vhd_check check;
	struct tevent_req *req;
	char *message = NULL;
	int fd, ret;

	if (strchr(path, '\\') != NULL) {
		return ctl_usage("'%s' is a path on the server: give that of "
				 "the file on this machine",
				 path);
	}
	/* A FIFO is refused, not waited for. */
	fd = open(path, (repair ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		return file_fail(path, NULL, errno);
	}
	req = vhd_check_send(ctl->mem, ctl->ev, fd, path,
			     repair ? VHD_CHECK_REPAIR : 0);
	if (req == NULL || !tevent_req_poll(req, ctl->ev)) {
		return file_fail(path, NULL, ENOMEM);
	}
	ret = vhd_check_recv(req, ctl->mem, &check, &message);
	talloc_free(req);
	return ret != 0 ? file_fail(path, message, ret)
			: check_result(ctl, &check);
}

int ctl_disk_check(struct ctl *ctl)
{
	return check_file(ctl, false);
}

int ctl_disk_repair(struct ctl *ctl)
{
	return check_file(ctl, true);
}
