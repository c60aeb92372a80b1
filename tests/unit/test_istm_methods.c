/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which methods there are, which stay E_NOTIMPL by decision, and which are
 * left to be done. With --table it writes docs/methods.md; as a test it
 * compares that file with what has been compiled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "server/istm/private.h"

#define TABLE "docs/methods.md"

/* Interfaces of MS-ISTM, and methods of their own (errata.md). */
#define NUM_INTERFACES 42
#define NUM_METHODS    297

enum outcome { IMPLEMENTED, DECIDED, LEFT, CLIENTS };

struct counts {
	unsigned of[4];
};

/* The kind of object that has the interface; NULL for those of clients. */
static const struct istm_type *type_of(const struct com_interface *iface)
{
	for (size_t i = 0; i < istm_num_types; i++) {
		const struct com_interface *const *p =
			istm_types[i]->type->interfaces;

		for (; *p != NULL; p++) {
			if (*p == iface) {
				return istm_types[i];
			}
		}
	}
	return NULL;
}

static const struct istm_decision *decision_on(const struct istm_type *type,
					       const struct com_interface *i,
					       const char *method)
{
	for (size_t n = 0; n < type->num_decisions; n++) {
		const struct istm_decision *d = &type->decisions[n];

		if (strcmp(d->interface, i->name) == 0 &&
		    strcmp(d->method, method) == 0) {
			return d;
		}
	}
	return NULL;
}

static enum outcome outcome_of(const struct com_interface *iface,
			       const struct com_method *method,
			       const struct istm_decision **decision)
{
	const struct istm_type *type = type_of(iface);

	*decision = NULL;
	if (type == NULL) {
		return CLIENTS;
	}
	*decision = decision_on(type, iface, method->name);
	if (*decision != NULL) {
		return DECIDED;
	}
	return method->implemented(type->type->vtbl) ? IMPLEMENTED : LEFT;
}

static void write_row(FILE *out, const struct com_interface *iface,
		      unsigned opnum, struct counts *counts)
{
	const struct com_method *method = com_method_by_opnum(iface, opnum);
	const struct istm_decision *decision;
	enum outcome outcome = outcome_of(iface, method, &decision);

	counts->of[outcome]++;
	if (out == NULL) {
		return;
	}
	fprintf(out, "| %s | %u | %s | ", iface->name, opnum, method->name);
	switch (outcome) {
	case IMPLEMENTED:
		fprintf(out, "yes |\n");
		break;
	case DECIDED:
		fprintf(out, "E_NOTIMPL: %s |\n", decision->reason);
		break;
	case LEFT:
		fprintf(out, "left |\n");
		break;
	case CLIENTS:
		fprintf(out, "the client's |\n");
		break;
	}
}

static void each_method(FILE *out, struct counts *counts)
{
	*counts = (struct counts){0};
	for (size_t i = 0; i < COM_ISTM_NUM_INTERFACES; i++) {
		const struct com_interface *iface = com_istm_interfaces[i];

		for (unsigned opnum = iface->first_opnum;
		     opnum < iface->num_calls; opnum++) {
			write_row(out, iface, opnum, counts);
		}
	}
}

static void write_table(FILE *out)
{
	struct counts counts;

	each_method(NULL, &counts);
	fprintf(out,
		"# The methods of MS-ISTM\n\n"
		"<!-- Generated: do not edit.\n"
		"     build/default/tests/unit/test_istm_methods --table >"
		" " TABLE " -->\n\n"
		"What istmd does with each method: %u are implemented, %u"
		" answer E_NOTIMPL by decision\n"
		"as Windows does (numbers in <> are the notes of the"
		" specification's Appendix B), %u are\n"
		"left and answer E_NOTIMPL until they are done, %u are"
		" those of clients.\n\n"
		"| Interface | Opnum | Method | Implemented |\n"
		"|---|---|---|---|\n",
		counts.of[IMPLEMENTED], counts.of[DECIDED], counts.of[LEFT],
		counts.of[CLIENTS]);
	each_method(out, &counts);
}

static void test_every_method_is_accounted_for(void **state)
{
	struct counts counts;

	assert_int_equal(COM_ISTM_NUM_INTERFACES, NUM_INTERFACES);
	each_method(NULL, &counts);
	assert_int_equal(counts.of[IMPLEMENTED] + counts.of[DECIDED] +
				 counts.of[LEFT] + counts.of[CLIENTS],
			 NUM_METHODS);
	/* IStatusNotify alone is called on the client. */
	assert_int_equal(counts.of[CLIENTS], 2);
	assert_true(counts.of[IMPLEMENTED] > 0);
}

/* A decision is about a method that exists, and the method knows of it. */
static void test_decisions_are_of_methods(void **state)
{
	for (size_t i = 0; i < istm_num_types; i++) {
		const struct istm_type *type = istm_types[i];

		for (size_t n = 0; n < type->num_decisions; n++) {
			const struct istm_decision *d = &type->decisions[n];
			const struct com_interface *iface =
				com_interface_by_name(com_istm_interfaces,
						      d->interface);
			const struct com_method *found = NULL;
			HRESULT result;

			assert_non_null(iface);
			assert_ptr_equal(type_of(iface), type);
			for (unsigned opnum = iface->first_opnum;
			     opnum < iface->num_calls; opnum++) {
				const struct com_method *m =
					com_method_by_opnum(iface, opnum);

				if (strcmp(m->name, d->method) == 0) {
					found = m;
				}
			}
			assert_non_null(found);
			assert_true(found->implemented(type->type->vtbl));
			result = found->thunk(type->type->vtbl, NULL, NULL,
					      NULL);
			assert_int_equal(HRES_ERROR_V(result),
					 HRES_ERROR_V(ISTM_NOT_IMPLEMENTED));
			assert_true(strlen(d->reason) > 10);
		}
	}
}

static void test_every_interface_has_one_kind_of_object(void **state)
{
	for (size_t i = 0; i < COM_ISTM_NUM_INTERFACES; i++) {
		const struct com_interface *iface = com_istm_interfaces[i];
		const struct istm_type *type = type_of(iface);

		if (type == NULL) {
			assert_string_equal(iface->name, "IStatusNotify");
			continue;
		}
		/* QueryInterface leads to the whole family. */
		assert_ptr_equal(type_of(iface->family), type);
	}
}

static char *slurp(FILE *file)
{
	char *text = NULL;
	size_t len = 0;

	rewind(file);
	if (getdelim(&text, &len, '\0', file) < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* The tests run in the source folder. */
static void test_table_is_current(void **state)
{
	FILE *committed = fopen(TABLE, "r");
	FILE *generated = tmpfile();
	char *is, *ought;

	assert_non_null(committed);
	assert_non_null(generated);
	write_table(generated);
	is = slurp(committed);
	ought = slurp(generated);
	assert_non_null(is);
	assert_non_null(ought);
	/* Otherwise: build/default/tests/unit/test_istm_methods --table >
	 * docs/methods.md */
	assert_true(strcmp(is, ought) == 0);
	free(is);
	free(ought);
	fclose(committed);
	fclose(generated);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_method_is_accounted_for),
		cmocka_unit_test(test_decisions_are_of_methods),
		cmocka_unit_test(test_every_interface_has_one_kind_of_object),
		cmocka_unit_test(test_table_is_current),
	};

	if (argc == 2 && strcmp(argv[1], "--table") == 0) {
		write_table(stdout);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
