# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods of MS-ISTM and their documented outcomes, as one table.

A case is: method, HRESULT, parameters, and where it matters what is done
before, on which object, what is returned and what holds after. Sections are
those of the specification; spec/notes.md has the judgements where it is silent.
One module is one interface, or a few; they fill the table in this order.
"""

from istm_cases.table import (  # noqa: F401
    MB, SECRETS, UNKNOWN_GUID, Case, State, cases)
from istm_cases import (  # noqa: F401
    host, host_mgr, disk, disk_mgr, device, directory, service, enumerators)
