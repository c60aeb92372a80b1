/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The compiled call tables against the tables in the text of [MS-ISTM]
 * (tests/data/istm_tables.txt): every class, interface, opnum and method.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gen_ndr/com_istm.h"
#include "gen_ndr/com_remunknown.h"
#include "gen_ndr/ndr_activation.h"
#include "gen_ndr/ndr_ept.h"
#include "gen_ndr/ndr_oxid.h"

#define TABLES	  "tests/data/istm_tables.txt"
#define MAX_LINES 512

/* One line of the tables, in up to four words. */
struct line {
	char word[4][64];
};

static struct line lines[MAX_LINES];
static size_t num_lines;

static int read_tables(void **state)
{
	char text[256];
	FILE *f = fopen(TABLES, "r");

	if (f == NULL) {
		print_error("%s is missing: run this from the top folder\n",
			    TABLES);
		return -1;
	}
	while (fgets(text, sizeof(text), f) != NULL) {
		struct line *l = &lines[num_lines];

		if (text[0] == '#' || num_lines == MAX_LINES) {
			continue;
		}
		if (sscanf(text, "%63s %63s %63s %63s", l->word[0], l->word[1],
			   l->word[2], l->word[3]) >= 3) {
			num_lines++;
		}
	}
	fclose(f);
	return 0;
}

static size_t count(const char *kind)
{
	size_t i, n = 0;

	for (i = 0; i < num_lines; i++) {
		n += strcmp(lines[i].word[0], kind) == 0;
	}
	return n;
}

static struct GUID guid(const char *s)
{
	struct GUID g;

	assert_true(NT_STATUS_IS_OK(GUID_from_string(s, &g)));
	return g;
}

static void assert_guid(const char *what, const char *want,
			const struct GUID *have)
{
	struct GUID g = guid(want);

	if (!GUID_equal(&g, have)) {
		fail_msg("%s is not %s", what, want);
	}
}

static const struct com_interface *interface(const char *name)
{
	const struct com_interface *i =
		com_interface_by_name(com_istm_interfaces, name);

	if (i == NULL) {
		fail_msg("no interface %s", name);
	}
	return i;
}

static void test_counts(void **state)
{
	size_t i, own = 0, all = 0;

	assert_int_equal(count("class"), 7);
	assert_int_equal(count("interface"), 42);
	assert_int_equal(count("method"), 297);
	assert_int_equal(COM_ISTM_NUM_CLASSES, 7);
	assert_int_equal(COM_ISTM_NUM_INTERFACES, 42);
	for (i = 0; com_istm_interfaces[i] != NULL; i++) {
		const struct com_interface *iface = com_istm_interfaces[i];

		own += iface->num_calls - iface->first_opnum;
		all += iface->num_calls - COM_FIRST_OPNUM;
	}
	assert_int_equal(i, 42);
	assert_int_equal(own, 297);
	assert_int_equal(all, 612);
	for (i = 0; com_istm_classes[i] != NULL; i++) {
	}
	assert_int_equal(i, 7);
}

static void test_classes(void **state)
{
	size_t i;

	for (i = 0; i < num_lines; i++) {
		const struct line *l = &lines[i];
		const struct com_interface *base = NULL;
		const struct com_class *class = NULL;
		struct GUID clsid;
		size_t k;

		if (strcmp(l->word[0], "class") != 0) {
			continue;
		}
		clsid = guid(l->word[2]);
		class = com_class_by_clsid(com_istm_classes, &clsid);
		assert_non_null(class);
		base = interface(l->word[1]);
		assert_ptr_equal(class->interfaces[0], base);
		/* All that derives from it, and nothing else, in order. */
		for (k = 1; class->interfaces[k] != NULL; k++) {
			assert_ptr_equal(class->interfaces[k]->base,
					 class->interfaces[k - 1]);
		}
		for (k = 0; com_istm_interfaces[k] != NULL; k++) {
			const struct com_interface *other =
				com_istm_interfaces[k];
			size_t n;

			if (!com_interface_derives(other, base)) {
				continue;
			}
			for (n = 0; class->interfaces[n] != NULL &&
				    class->interfaces[n] != other;
			     n++) {
			}
			assert_ptr_equal(class->interfaces[n], other);
		}
	}
}

static void test_interfaces(void **state)
{
	size_t i;

	for (i = 0; i < num_lines; i++) {
		const struct line *l = &lines[i];
		const struct com_interface *iface = NULL;
		struct ndr_interface_table table;
		struct GUID iid;

		if (strcmp(l->word[0], "interface") != 0) {
			continue;
		}
		iface = interface(l->word[1]);
		assert_guid(iface->name, l->word[2], &iface->iid);
		iid = guid(l->word[2]);
		assert_ptr_equal(
			com_interface_by_iid(com_istm_interfaces, &iid), iface);
		assert_string_equal(iface->base ? iface->base->name
						: "IUnknown",
				    l->word[3]);
		com_interface_table(iface, &table);
		assert_guid(iface->name, l->word[2], &table.syntax_id.uuid);
		assert_int_equal(table.syntax_id.if_version, 0);
		assert_int_equal(table.num_calls, iface->num_calls);
		assert_string_equal(table.name, iface->name);
	}
}

/* What one line of the tables says is what the interface has there. */
static void check_method(const struct com_interface *iface, unsigned opnum,
			 const char *declared_by, const char *name)
{
	const struct com_method *m = com_method_by_opnum(iface, opnum);
	const struct ndr_interface_call *call = NULL;
	char full[128];

	if (m == NULL || strcmp(m->name, name) != 0) {
		fail_msg("%s opnum %u is %s, not %s", iface->name, opnum,
			 m ? m->name : "nothing", name);
	}
	assert_string_equal(m->declared_by->name, declared_by);
	/* The NDR engine has the same call in the same place. */
	snprintf(full, sizeof(full), "%s_%s", declared_by, name);
	assert_true(opnum < iface->ndr->num_calls);
	call = &iface->ndr->calls[opnum];
	assert_string_equal(call->name, full);
	assert_int_equal(call->struct_size, m->size);
	assert_int_equal(m->orpcthis, 0);
	assert_true(m->orpcthat > m->orpcthis && m->orpcthat < m->size);
	assert_true(m->result > m->orpcthat && m->result < m->size);
}

static void test_methods(void **state)
{
	size_t i, k, checked = 0;

	for (i = 0; i < num_lines; i++) {
		const struct line *l = &lines[i];
		const struct com_interface *declares = NULL;
		unsigned opnum;

		if (strcmp(l->word[0], "method") != 0) {
			continue;
		}
		declares = interface(l->word[1]);
		assert_int_equal(sscanf(l->word[2], "%u", &opnum), 1);
		assert_in_range(opnum, declares->first_opnum,
				declares->num_calls - 1);
		/* Its own, and all that inherit it. */
		for (k = 0; com_istm_interfaces[k] != NULL; k++) {
			if (com_interface_derives(com_istm_interfaces[k],
						  declares)) {
				check_method(com_istm_interfaces[k], opnum,
					     l->word[1], l->word[3]);
				checked++;
			}
		}
	}
	assert_int_equal(checked, 612);
}

static void test_opnums_out_of_range(void **state)
{
	size_t i;
	uint32_t opnum;

	for (i = 0; com_istm_interfaces[i] != NULL; i++) {
		const struct com_interface *iface = com_istm_interfaces[i];

		for (opnum = 0; opnum < COM_FIRST_OPNUM; opnum++) {
			assert_null(com_method_by_opnum(iface, opnum));
		}
		assert_null(com_method_by_opnum(iface, iface->num_calls));
		assert_null(com_method_by_opnum(iface, UINT32_MAX));
	}
}

/* The interfaces of [MS-DCOM] 1.9 and of C706 appendix O. */
static void test_dcom(void **state)
{
	static const struct {
		const struct ndr_interface_table *table;
		const char *uuid;
		uint32_t version;
		uint32_t opnum;
		const char *name;
	} calls[] = {
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 0, "ResolveOxid"},
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 1, "SimplePing"},
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 2, "ComplexPing"},
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 3, "ServerAlive"},
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 4, "ResolveOxid2"},
		{&ndr_table_IObjectExporter,
		 "99fcfec4-5260-101b-bbcb-00aa0021347a", 0, 5, "ServerAlive2"},
		{&ndr_table_IActivation, "4d9f4ab8-7d1c-11cf-861e-0020af6e7c57",
		 0, 0, "RemoteActivation"},
		{&ndr_table_IRemoteSCMActivator,
		 "000001a0-0000-0000-c000-000000000046", 0, 3,
		 "RemoteGetClassObject"},
		{&ndr_table_IRemoteSCMActivator,
		 "000001a0-0000-0000-c000-000000000046", 0, 4,
		 "RemoteCreateInstance"},
		{&ndr_table_IRemUnknown, "00000131-0000-0000-c000-000000000046",
		 0, 3, "IRemUnknown_RemQueryInterface"},
		{&ndr_table_IRemUnknown, "00000131-0000-0000-c000-000000000046",
		 0, 4, "IRemUnknown_RemAddRef"},
		{&ndr_table_IRemUnknown, "00000131-0000-0000-c000-000000000046",
		 0, 5, "IRemUnknown_RemRelease"},
		{&ndr_table_IRemUnknown, "00000131-0000-0000-c000-000000000046",
		 0, 6, "IRemUnknown2_RemQueryInterface2"},
		{&ndr_table_IClassFactory,
		 "00000001-0000-0000-c000-000000000046", 0, 3,
		 "IClassFactory_CreateInstance"},
		{&ndr_table_IClassFactory,
		 "00000001-0000-0000-c000-000000000046", 0, 4,
		 "IClassFactory_LockServer"},
		{&ndr_table_ept, "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 2,
		 "ept_lookup"},
		{&ndr_table_ept, "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 3,
		 "ept_map"},
		{&ndr_table_ept, "e1af8308-5d1f-11c9-91a4-08002b14a0fa", 3, 4,
		 "ept_lookup_handle_free"},
	};
	size_t i;

	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		assert_guid(calls[i].name, calls[i].uuid,
			    &calls[i].table->syntax_id.uuid);
		assert_int_equal(calls[i].table->syntax_id.if_version,
				 calls[i].version);
		assert_true(calls[i].opnum < calls[i].table->num_calls);
		assert_string_equal(calls[i].table->calls[calls[i].opnum].name,
				    calls[i].name);
	}
	assert_guid("IRemUnknown2", "00000143-0000-0000-c000-000000000046",
		    &com_IRemUnknown2.iid);
	assert_ptr_equal(com_IRemUnknown2.base, &com_IRemUnknown);
}

/* A function table answers for what it has, and E_NOTIMPL for the rest. */
static HRESULT answer(struct dcom_call *call, void *self,
		      struct IHost_get_Name *r)
{
	assert_ptr_equal(self, r);
	return HRES_ERROR(1);
}

static void test_thunks(void **state)
{
	static const struct IHost_vtbl vtbl = {.get_Name = answer};
	const struct com_method *have = com_method_by_opnum(&com_IHost3, 6);
	const struct com_method *lack = com_method_by_opnum(&com_IHost3, 7);
	struct IHost_get_Name r;

	assert_true(have->implemented(&vtbl));
	assert_true(
		HRES_IS_EQUAL(have->thunk(&vtbl, NULL, &r, &r), HRES_ERROR(1)));
	assert_false(lack->implemented(&vtbl));
	assert_true(HRES_IS_EQUAL(lack->thunk(&vtbl, NULL, &r, &r),
				  HRES_E_NOTIMPL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_opnums_out_of_range),
		cmocka_unit_test(test_dcom),
		cmocka_unit_test(test_thunks),
	};

	return cmocka_run_group_tests(tests, read_tables, NULL);
}
