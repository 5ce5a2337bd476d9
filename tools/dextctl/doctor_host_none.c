/*
 * The host's part of the doctor where there is nothing to say of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "doctor.h"

void doctor_host(struct doctor_report *report, const struct options *options)
{
    struct doctor_step step = {.name = "host"};
    (void)options;
    doctor_report_section(report, NULL, "host");
    doctor_skip(&step, "this system's approval and signing states are not looked at "
                       "(systemextensionsctl list, csrutil status)");
    doctor_report_step(report, &step);
}
