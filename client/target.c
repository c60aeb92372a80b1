/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istmctl target … : targets, who may use them, and their disks. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>
#include <libgen.h>

#include "client/istmctl.h"
#include "client/target.h"
#include "librpc/utf16.h"
#include "server/core/errors.h"

static struct istm_object *host_mgr(struct ctl *ctl)
{
	return ctl_class(ctl, &com_class_HostMgr, &com_IHostMgr);
}

struct istm_object *ctl_target(struct ctl *ctl, const char *name)
{
	struct istm_object *mgr = host_mgr(ctl);
	struct IHostMgr_GetHost r = {.in.HostName.s = name};
	HRESULT hr;

	if (mgr == NULL) {
		return NULL;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IHOSTMGR_GETHOST, &r);
	if (!ctl_is_ok(hr)) {
		ctl_fail(ctl, hr, "getting target %s", name);
		return NULL;
	}
	return ctl_object(ctl, mgr, &com_IHost, r.out.ppHost, "target");
}

static int save(struct ctl *ctl, struct istm_object *host)
{
	struct IHost_Save r = {0};
	HRESULT hr = istm_call(host, ctl->mem, NDR_IHOST_SAVE, &r);

	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "saving the target");
	}
	return 0;
}

/* ---- listing ---- */

static int target_record(struct ctl *ctl, struct istm_object *host)
{
	TALLOC_CTX *mem = ctl->mem;
	struct IHost_get_Name name = {0};
	struct IHost_get_TargetIQN iqn = {0};
	struct IHost_get_Enable enable = {0};
	struct IHost_get_Status status = {0};
	struct IHost_get_Description description = {0};
	HRESULT hr = istm_call(host, mem, NDR_IHOST_GET_NAME, &name);

	if (ctl_is_ok(hr)) {
		hr = istm_call(host, mem, NDR_IHOST_GET_TARGETIQN, &iqn);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, mem, NDR_IHOST_GET_ENABLE, &enable);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, mem, NDR_IHOST_GET_STATUS, &status);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, mem, NDR_IHOST_GET_DESCRIPTION,
			       &description);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "reading a target's properties");
	}
	output_record(ctl->out);
	output_string(ctl->out, "target", name.out.pName->s);
	output_string(ctl->out, "iqn", iqn.out.pTargetIQN->s);
	output_bool(ctl->out, "enabled", *enable.out.pEnable != 0);
	output_string(ctl->out, "status",
		      *status.out.pStatus == HostStatusConnected ? "connected"
								 : "idle");
	output_string(ctl->out, "description", description.out.pDescription->s);
	return 0;
}

static int target_list(struct ctl *ctl)
{
	struct istm_object *mgr = host_mgr(ctl), *list;
	struct IHostMgr_EnumHosts r = {0};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IHOSTMGR_ENUMHOSTS, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "listing the targets");
	}
	list = ctl_object(ctl, mgr, &com_IEnumHost, r.out.ppEnumHost,
			  "list of targets");
	if (list == NULL) {
		return 1;
	}
	for (;;) {
		struct MInterfacePointer *none = NULL;
		struct IEnumHost_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &none,
			.out.pElements = &none,
		};
		struct istm_object *host;

		hr = istm_call(list, ctl->mem, NDR_IENUMHOST_NEXT, &next);
		if (ctl_failed(hr)) {
			return ctl_fail(ctl, hr, "listing the targets");
		}
		if (!ctl_is_ok(hr)) {
			break; /* S_FALSE: the end */
		}
		host = ctl_object(ctl, list, &com_IHost, next.out.pElements,
				  "target");
		if (host == NULL || target_record(ctl, host) != 0) {
			return 1;
		}
		talloc_free(host);
	}
	output_list(ctl->out);
	return 0;
}

static HRESULT open_mappings(struct ctl *ctl, struct istm_object *host,
			     struct istm_object **list)
{
	struct IHost_EnumWTDiskLunMappings r = {0};
	HRESULT hr =
		istm_call(host, ctl->mem, NDR_IHOST_ENUMWTDISKLUNMAPPINGS, &r);

	return ctl_is_ok(hr)
		       ? istm_unmarshal(ctl->mem, host,
					&com_IEnumWTDiskLunMapping,
					*r.out.ppEnumWTDiskLunMapping, list)
		       : hr;
}

/* @return S_FALSE at the end */
static HRESULT next_mapping(struct ctl *ctl, struct istm_object *list,
			    struct LUN_MAPPING *mapping)
{
	struct IEnumWTDiskLunMapping_Next next = {
		.in.ulNumElements = 1,
		.in.pElements = mapping,
		.out.pElements = mapping,
	};
	HRESULT hr;

	*mapping = (struct LUN_MAPPING){0};
	hr = istm_call(list, ctl->mem, NDR_IENUMWTDISKLUNMAPPING_NEXT, &next);
	if (ctl_is_ok(hr)) {
		*mapping = *next.out.pElements;
	}
	return hr;
}

/* "0=3 1=7": LUN and disk. */
static HRESULT mappings(struct ctl *ctl, struct istm_object *host, char **text)
{
	struct istm_object *list;
	struct LUN_MAPPING m;
	HRESULT hr = open_mappings(ctl, host, &list);

	*text = talloc_strdup(ctl->mem, "");
	while (ctl_is_ok(hr)) {
		hr = next_mapping(ctl, list, &m);
		if (ctl_is_ok(hr)) {
			*text = talloc_asprintf_append(*text, "%s%u=%u",
						       (*text)[0] ? " " : "",
						       m.dwLun, m.dwWTD);
		}
	}
	return ctl_failed(hr) ? hr : ISTM_S_OK;
}

static HRESULT has_disk(struct ctl *ctl, struct istm_object *host,
			uint32_t disk, bool *mapped)
{
	struct istm_object *list;
	struct LUN_MAPPING m;
	HRESULT hr = open_mappings(ctl, host, &list);

	*mapped = false;
	while (ctl_is_ok(hr)) {
		hr = next_mapping(ctl, list, &m);
		*mapped |= ctl_is_ok(hr) && m.dwWTD == disk;
	}
	return ctl_failed(hr) ? hr : ISTM_S_OK;
}

static HRESULT ids(struct ctl *ctl, struct istm_object *host, char **text)
{
	struct IHost_EnumIDs r = {0};
	struct istm_object *list;
	HRESULT hr;

	*text = talloc_strdup(ctl->mem, "");
	hr = istm_call(host, ctl->mem, NDR_IHOST_ENUMIDS, &r);
	if (!ctl_is_ok(hr)) {
		return hr;
	}
	hr = istm_unmarshal(ctl->mem, host, &com_IEnumIDMethod,
			    *r.out.ppEnumIDMethod, &list);
	while (ctl_is_ok(hr)) {
		struct ID id = {0};
		struct IEnumIDMethod_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &id,
			.out.pElements = &id,
		};

		hr = istm_call(list, ctl->mem, NDR_IENUMIDMETHOD_NEXT, &next);
		if (ctl_is_ok(hr)) {
			*text = talloc_asprintf_append(
				*text, "%s%s:%s", (*text)[0] ? " " : "",
				ctl_id_method_name(next.out.pElements->eMethod),
				WCHAR_GET(ctl->mem,
					  next.out.pElements->szValue));
		}
	}
	return ctl_failed(hr) ? hr : ISTM_S_OK;
}

static int target_show(struct ctl *ctl)
{
	struct istm_object *host = ctl_target(ctl, ctl->args[0]);
	struct IHost_get_EnableCHAP chap = {0};
	struct IHost_get_CHAPUserName user = {0};
	struct IHost_get_EnableReverseCHAP reverse = {0};
	struct IHost_get_Guid guid = {0};
	char *text;
	HRESULT hr;

	if (host == NULL || target_record(ctl, host) != 0) {
		return 1;
	}
	hr = istm_call(host, ctl->mem, NDR_IHOST_GET_GUID, &guid);
	if (ctl_is_ok(hr)) {
		output_string(ctl->out, "guid",
			      GUID_string(ctl->mem, guid.out.pGuid));
		hr = istm_call(host, ctl->mem, NDR_IHOST_GET_ENABLECHAP, &chap);
	}
	if (ctl_is_ok(hr)) {
		output_bool(ctl->out, "chap", *chap.out.pEnable != 0);
		hr = istm_call(host, ctl->mem, NDR_IHOST_GET_CHAPUSERNAME,
			       &user);
	}
	if (ctl_is_ok(hr)) {
		output_string(ctl->out, "chap user", user.out.pUserName->s);
		hr = istm_call(host, ctl->mem, NDR_IHOST_GET_ENABLEREVERSECHAP,
			       &reverse);
	}
	if (ctl_is_ok(hr)) {
		output_bool(ctl->out, "reverse chap",
			    *reverse.out.pEnable != 0);
		hr = ids(ctl, host, &text);
	}
	if (ctl_is_ok(hr)) {
		output_string(ctl->out, "initiators", text);
		hr = mappings(ctl, host, &text);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "reading target %s", ctl->args[0]);
	}
	output_string(ctl->out, "disks (lun=disk)", text);
	output_one(ctl->out);
	return 0;
}

/* ---- creating, changing, deleting ---- */

static HRESULT put_properties(struct ctl *ctl, struct istm_object *host)
{
	struct IHost_put_Name name = {.in.Name.s = ctl->opt.name};
	struct IHost_put_TargetIQN iqn = {.in.TargetIQN.s = ctl->opt.iqn};
	struct IHost_put_Description description = {
		.in.Description.s = ctl->opt.description,
	};
	struct IHost_put_Enable enable = {.in.bEnable = ctl->opt.enable};
	HRESULT hr = ISTM_S_OK;

	if (ctl->opt.name != NULL) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_NAME, &name);
	}
	if (ctl_is_ok(hr) && ctl->opt.iqn != NULL) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_TARGETIQN, &iqn);
	}
	if (ctl_is_ok(hr) && ctl->opt.description != NULL) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_DESCRIPTION,
			       &description);
	}
	if (ctl_is_ok(hr) && (ctl->opt.enable || ctl->opt.disable)) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_ENABLE, &enable);
	}
	return hr;
}

static int target_create(struct ctl *ctl)
{
	struct istm_object *mgr = host_mgr(ctl), *host;
	struct IHostMgr_NewHost r = {.in.HostName.s = ctl->args[0]};
	struct IHostMgr_DeleteHost undo = {.in.HostName.s = ctl->args[0]};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IHOSTMGR_NEWHOST, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "creating target %s", ctl->args[0]);
	}
	host = ctl_object(ctl, mgr, &com_IHost, r.out.ppNewHost, "target");
	if (host == NULL) {
		return 1;
	}
	hr = put_properties(ctl, host);
	if (!ctl_is_ok(hr)) {
		ctl_fail(ctl, hr, "setting target %s's properties",
			 ctl->args[0]);
		istm_call(mgr, ctl->mem, NDR_IHOSTMGR_DELETEHOST, &undo);
		return 1;
	}
	if (save(ctl, host) != 0 || target_record(ctl, host) != 0) {
		return 1;
	}
	output_one(ctl->out);
	return 0;
}

static int target_set(struct ctl *ctl)
{
	struct istm_object *host;
	HRESULT hr;

	if (ctl->opt.name == NULL && ctl->opt.iqn == NULL &&
	    ctl->opt.description == NULL && !ctl->opt.enable &&
	    !ctl->opt.disable) {
		return ctl_usage("give --name, --iqn, --description, --enable "
				 "or --disable");
	}
	host = ctl_target(ctl, ctl->args[0]);
	if (host == NULL) {
		return 1;
	}
	hr = put_properties(ctl, host);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "changing target %s", ctl->args[0]);
	}
	return save(ctl, host);
}

static int target_delete(struct ctl *ctl)
{
	struct istm_object *mgr = host_mgr(ctl);
	struct IHostMgr_DeleteHost r = {.in.HostName.s = ctl->args[0]};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IHOSTMGR_DELETEHOST, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "deleting target %s", ctl->args[0]);
	}
	return 0;
}

/* ---- initiators ---- */

static const struct {
	const char *name;
	enum IDMethod method;
} id_methods[] = {
	{"iqn", IDIQN},	    {"ip", IDIPAddress},   {"ipv6", IDIPv6Address},
	{"dns", IDDNSName}, {"mac", IDMACAddress}, {"netbios", IDNetBiosName},
};
#define NUM_ID_METHODS (sizeof(id_methods) / sizeof(id_methods[0]))

const char *ctl_id_method_name(enum IDMethod method)
{
	size_t i;

	for (i = 0; i < NUM_ID_METHODS; i++) {
		if (id_methods[i].method == method) {
			return id_methods[i].name;
		}
	}
	return "unknown";
}

/* MS-ISTM 2.2.4.7 has dashes, Linux' tools have colons. */
static void put_dashes(uint16_t *value)
{
	for (; *value != 0; value++) {
		*value = *value == ':' ? '-' : *value;
	}
}

/* "ip:192.0.2.7"; an iSCSI name may stand alone. */
static bool parse_id(const char *text, struct ID *id)
{
	const char *colon = strchr(text, ':');
	size_t i;

	*id = (struct ID){.eMethod = IDIQN};
	for (i = 0; colon != NULL && i < NUM_ID_METHODS; i++) {
		size_t len = strlen(id_methods[i].name);

		if ((size_t)(colon - text) == len &&
		    strncasecmp(text, id_methods[i].name, len) == 0) {
			id->eMethod = id_methods[i].method;
			if (!WCHAR_SET(id->szValue, colon + 1)) {
				return false;
			}
			if (id->eMethod == IDMACAddress) {
				put_dashes(id->szValue);
			}
			return true;
		}
	}
	if (strncasecmp(text, "iqn.", 4) == 0 ||
	    strncasecmp(text, "eui.", 4) == 0 ||
	    strncasecmp(text, "naa.", 4) == 0) {
		return WCHAR_SET(id->szValue, text);
	}
	return false;
}

static int change_id(struct ctl *ctl, bool add)
{
	struct istm_object *host;
	struct ID id;
	struct IHost_AddID allow = {.in.pIDMethod = &id};
	struct IHost_RemoveID deny = {.in.pIDMethod = &id};
	HRESULT hr;

	if (!parse_id(ctl->args[1], &id)) {
		return ctl_usage(
			"'%s' is no initiator: give an iSCSI name, or"
			" ip:, ipv6:, dns:, netbios:, mac: and a value",
			ctl->args[1]);
	}
	host = ctl_target(ctl, ctl->args[0]);
	if (host == NULL) {
		return 1;
	}
	hr = add ? istm_call(host, ctl->mem, NDR_IHOST_ADDID, &allow)
		 : istm_call(host, ctl->mem, NDR_IHOST_REMOVEID, &deny);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "%s %s", add ? "allowing" : "denying",
				ctl->args[1]);
	}
	return save(ctl, host);
}

static int target_allow(struct ctl *ctl)
{
	return change_id(ctl, true);
}

static int target_deny(struct ctl *ctl)
{
	return change_id(ctl, false);
}

/* ---- mappings ---- */

static int target_map(struct ctl *ctl)
{
	struct istm_object *host;
	struct IHost_AddWTDisk add = {0};
	struct IHost_SetWTDiskLunMapping set = {0};
	struct IHost_RemoveWTDisk undo = {0};
	uint32_t disk, lun = 0;
	bool mapped = true;
	HRESULT hr = ISTM_S_OK;

	if (!ctl_parse_number(ctl->args[1], UINT32_MAX, &disk)) {
		return ctl_usage("'%s' is not the number of a disk",
				 ctl->args[1]);
	}
	if (ctl->opt.lun != NULL &&
	    !ctl_parse_number(ctl->opt.lun, UINT32_MAX, &lun)) {
		return ctl_usage("'%s' is not a LUN", ctl->opt.lun);
	}
	host = ctl_target(ctl, ctl->args[0]);
	if (host == NULL) {
		return 1;
	}
	add.in.nWTD = set.in.nWTD = undo.in.nWTD = disk;
	set.in.nNewLun = lun;
	if (ctl->opt.lun != NULL) {
		hr = has_disk(ctl, host, disk, &mapped);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_ADDWTDISK, &add);
	}
	if (ctl_is_ok(hr) && ctl->opt.lun != NULL) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_SETWTDISKLUNMAPPING,
			       &set);
		if (!ctl_is_ok(hr)) {
			ctl_fail(ctl, hr, "mapping disk %u at LUN %u", disk,
				 lun);
			/* One that it had before stays at its LUN. */
			if (!mapped) {
				istm_call(host, ctl->mem,
					  NDR_IHOST_REMOVEWTDISK, &undo);
			}
			return 1;
		}
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "mapping disk %u to %s", disk,
				ctl->args[0]);
	}
	return save(ctl, host);
}

static int target_unmap(struct ctl *ctl)
{
	struct istm_object *host;
	struct IHost_RemoveWTDisk r = {0};
	HRESULT hr;

	if (!ctl_parse_number(ctl->args[1], UINT32_MAX, &r.in.nWTD)) {
		return ctl_usage("'%s' is not the number of a disk",
				 ctl->args[1]);
	}
	host = ctl_target(ctl, ctl->args[0]);
	if (host == NULL) {
		return 1;
	}
	hr = istm_call(host, ctl->mem, NDR_IHOST_REMOVEWTDISK, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "unmapping disk %u from %s", r.in.nWTD,
				ctl->args[0]);
	}
	return save(ctl, host);
}

/* ---- CHAP ---- */

static struct termios terminal;

/* The handler is reset: the signal comes again when this returns. */
static void interrupt(int number)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	raise(number);
}

/* A line that is not shown; whoever interrupts it gets the terminal back. */
static char *ask_secret(char *line, int size)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
	enum { NUM_ENDS = sizeof(ends) / sizeof(ends[0]) };
	struct sigaction before[NUM_ENDS];
	struct sigaction act = {
		.sa_handler = interrupt,
		.sa_flags = (int)SA_RESETHAND,
	};
	struct termios quiet = terminal;
	char *got;

	for (int i = 0; i < NUM_ENDS; i++) {
		sigaction(ends[i], &act, &before[i]);
	}
	quiet.c_lflag &= ~ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	fprintf(stderr, "Secret (12 to 16 characters): ");
	got = fgets(line, size, stdin);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
	fprintf(stderr, "\n");
	for (int i = 0; i < NUM_ENDS; i++) {
		sigaction(ends[i], &before[i], NULL);
	}
	return got;
}

/* From a file or the terminal, never from the command line. */
static char *read_secret(struct ctl *ctl)
{
	char line[300];
	FILE *f = stdin;
	char *got;

	if (ctl->opt.secret_file != NULL) {
		f = fopen(ctl->opt.secret_file, "re");
		if (f == NULL) {
			fprintf(stderr, "istmctl: %s: %s\n",
				ctl->opt.secret_file, strerror(errno));
			return NULL;
		}
	}
	got = f == stdin && tcgetattr(STDIN_FILENO, &terminal) == 0
		      ? ask_secret(line, sizeof(line))
		      : fgets(line, sizeof(line), f);
	if (f != stdin) {
		fclose(f);
	}
	if (got == NULL) {
		fprintf(stderr, "istmctl: no secret was given\n");
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	got = talloc_strdup(ctl->mem, line);
	explicit_bzero(line, sizeof(line));
	return got;
}

static HRESULT set_chap(struct ctl *ctl, struct istm_object *host,
			const char *secret)
{
	struct IHost_ValidateChapSecret valid = {.in.Secret.s = secret};
	struct IHost_put_CHAPUserName user = {
		.in.UserName.s = ctl->opt.chap_user,
	};
	struct IHost_put_CHAPSecret put = {.in.Secret.s = secret};
	struct IHost_put_EnableCHAP enable = {.in.bEnable = secret != NULL};
	HRESULT hr = ISTM_S_OK;

	if (secret != NULL) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_VALIDATECHAPSECRET,
			       &valid);
		if (ctl_is_ok(hr)) {
			hr = istm_call(host, ctl->mem,
				       NDR_IHOST_PUT_CHAPUSERNAME, &user);
		}
		if (ctl_is_ok(hr)) {
			hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_CHAPSECRET,
				       &put);
		}
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_ENABLECHAP,
			       &enable);
	}
	return hr;
}

static HRESULT set_reverse_chap(struct ctl *ctl, struct istm_object *host,
				const char *secret)
{
	struct IHost_ValidateReverseChapSecret valid = {
		.in.Secret.s = secret,
	};
	struct IHost_put_ReverseCHAPUserName user = {
		.in.UserName.s = ctl->opt.chap_user,
	};
	struct IHost_put_ReverseCHAPSecret put = {.in.Secret.s = secret};
	struct IHost_put_EnableReverseCHAP enable = {
		.in.bEnable = secret != NULL,
	};
	HRESULT hr = ISTM_S_OK;

	if (secret != NULL) {
		hr = istm_call(host, ctl->mem,
			       NDR_IHOST_VALIDATEREVERSECHAPSECRET, &valid);
		if (ctl_is_ok(hr)) {
			hr = istm_call(host, ctl->mem,
				       NDR_IHOST_PUT_REVERSECHAPUSERNAME,
				       &user);
		}
		if (ctl_is_ok(hr)) {
			hr = istm_call(host, ctl->mem,
				       NDR_IHOST_PUT_REVERSECHAPSECRET, &put);
		}
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(host, ctl->mem, NDR_IHOST_PUT_ENABLEREVERSECHAP,
			       &enable);
	}
	return hr;
}

static int change_chap(struct ctl *ctl,
		       HRESULT (*set)(struct ctl *ctl, struct istm_object *host,
				      const char *secret))
{
	struct istm_object *host;
	char *secret = NULL;
	HRESULT hr;

	if (!ctl->opt.off && ctl->opt.chap_user == NULL) {
		return ctl_usage("give --chap-user, or --off");
	}
	if (!ctl->opt.off) {
		secret = read_secret(ctl);
		if (secret == NULL) {
			return 1;
		}
	}
	host = ctl_target(ctl, ctl->args[0]);
	if (host == NULL) {
		return 1;
	}
	hr = set(ctl, host, secret);
	if (secret != NULL) {
		explicit_bzero(secret, strlen(secret));
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "setting up CHAP for %s",
				ctl->args[0]);
	}
	return save(ctl, host);
}

static int target_chap(struct ctl *ctl)
{
	return change_chap(ctl, set_chap);
}

static int target_reverse_chap(struct ctl *ctl)
{
	return change_chap(ctl, set_reverse_chap);
}

const struct ctl_command ctl_target_commands[] = {
	{"target", "list", "", 0, 0, target_list, "all targets", 0},
	{"target", "show", "TARGET", 1, 1, target_show, "one target", 0},
	{"target", "create", "TARGET", 1, 1, target_create,
	 "--iqn, --description, --disable",
	 CTL_IQN | CTL_DESCRIPTION | CTL_ENABLE},
	{"target", "set", "TARGET", 1, 1, target_set,
	 "--name, --iqn, --description, --enable, --disable",
	 CTL_NAME | CTL_IQN | CTL_DESCRIPTION | CTL_ENABLE},
	{"target", "allow", "TARGET INITIATOR", 2, 2, target_allow,
	 "iSCSI name, or ip:, ipv6:, dns:, netbios:, mac: ...", 0},
	{"target", "deny", "TARGET INITIATOR", 2, 2, target_deny,
	 "take it back, and disconnect", 0},
	{"target", "map", "TARGET DISK", 2, 2, target_map,
	 "give it a disk; --lun", CTL_LUN},
	{"target", "unmap", "TARGET DISK", 2, 2, target_unmap,
	 "take a disk away", 0},
	{"target", "chap", "TARGET", 1, 1, target_chap,
	 "--chap-user, --secret-file, --off", CTL_CHAP},
	{"target", "reverse-chap", "TARGET", 1, 1, target_reverse_chap,
	 "what the target proves to initiators", CTL_CHAP},
	{"target", "delete", "TARGET", 1, 1, target_delete,
	 "with its mappings; disks stay", 0},
	{0},
};
