#include "census.h"

#include "cpu/isa.h"

#include <json-c/json.h>

static json_object *observation(const struct census_observation *o)
{
    static const char *const verdicts[] = {"not tried", "traps", "same", "differs"};
    char text[96];
    json_object *j = json_object_new_object();
    json_object_object_add(j, "verdict", json_object_new_string(verdicts[o->verdict]));
    if (o->verdict == VERDICT_NOT_TRIED) return j;
    json_object_object_add(j, "class", json_object_new_string(census_class_name(o->class)));
    if (o->verdict == VERDICT_TRAPS)
        json_object_object_add(j, "vector",
                               o->vector == OUTCOME_NO_VECTOR ? NULL : json_object_new_int(o->vector));
    if (o->verdict == VERDICT_DIFFERS)
        json_object_object_add(j, "differs-in",
                               json_object_new_string(outcome_part_names(o->parts, text, sizeof(text))));
    json_object_object_add(j, "traps-with-some-operands", json_object_new_boolean(o->some_trapped));
    json_object_object_add(j, "user-mode-differs", json_object_new_boolean(o->user_differs));
    return j;
}

static json_object *entry(const struct census_entry *e)
{
    char text[128];
    json_object *j = json_object_new_object(), *on = json_object_new_object();
    json_object_object_add(j, "form", json_object_new_string(e->form));
    json_object_object_add(j, "changes",
                           json_object_new_string(outcome_control_names(e->control, text, sizeof(text))));
    json_object_object_add(j, "location-sensitive", json_object_new_boolean(e->location));
    json_object_object_add(j, "mode-sensitive", json_object_new_boolean(e->mode));
    json_object_object_add(j, "robin-irvine", json_object_new_boolean(e->traits & FORM_ROBIN));
    json_object_object_add(j, "privileged-by", json_object_new_string(isa_privilege_name(e->row)));
    json_object_object_add(j, "treatment", json_object_new_string(isa_treatment_name(e->row)));
    if (e->row->manual) json_object_object_add(j, "manual", json_object_new_string(e->row->manual));
    for (unsigned cpu = 0; cpu < CENSUS_CPUS; cpu++)
        json_object_object_add(on, census_cpu_name(cpu), observation(&e->on[cpu]));
    json_object_object_add(j, "on", on);
    return j;
}

void census_print_json(const struct census *c, FILE *out)
{
    json_object *j = json_object_new_object(), *host = json_object_new_object(),
                *forms = json_object_new_array();
    json_object_object_add(host, "name", json_object_new_string(c->host.name));
    json_object_object_add(host, "umip", json_object_new_boolean(c->host.umip));
    json_object_object_add(host, "cpuid-faulting", json_object_new_boolean(c->host.cpuid_faulting));
    json_object_object_add(host, "executes-32-bit-code", json_object_new_boolean(c->has_32));
    json_object_object_add(j, "host", host);
    json_object_object_add(j, "reference", json_object_new_string(census_cpu_name(census_reference(c))));
    for (unsigned n = 0; n < c->count; n++)
        json_object_array_add(forms, entry(&c->entry[n]));
    json_object_object_add(j, "forms", forms);
    fprintf(out, "%s\n",
            json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(j);
}
