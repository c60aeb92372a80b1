/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The COM objects of [MS-ISTM]: what server/dcom exports and server/model
 * carries out. This folder translates and checks arguments, nothing more.
 *
 * Main thread only.
 */
#ifndef ISTM_ISTM_H
#define ISTM_ISTM_H

#include "server/core/errors.h"
#include "server/dcom/dcom.h"
#include "server/model/model.h"

/*
 * Create the seven class objects (MS-ISTM 1.9) and register their classes.
 * @runtime and @model have to outlive each other's use: free the runtime
 * first.
 * @return S_OK or E_OUTOFMEMORY
 */
HRESULT istm_register(struct dcom_runtime *runtime, struct model *model);

/* Whether the method changes state (struct dcom_options: audited). */
bool istm_method_is_audited(const struct com_method *method);

/*
 * A method that answers E_NOTIMPL on purpose, as Windows does, and why. What
 * has neither a function nor a decision is still to be done.
 */
struct istm_decision {
	const char *interface; /* that declares the method: "IHost2" */
	const char *method;    /* "put_ResourceGroupName" */
	const char *reason;
};

/* A kind of object with the decisions on its methods. */
struct istm_type {
	const struct dcom_object_type *type;
	const struct istm_decision *decisions; /* num_decisions */
	size_t num_decisions;
};

/* All kinds of objects there are, for the table of what is left. */
extern const struct istm_type *const istm_types[];
extern const size_t istm_num_types;

#endif /* ISTM_ISTM_H */
