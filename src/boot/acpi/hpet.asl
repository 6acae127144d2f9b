/*
 * The HPET, for machines that have one. The table "HPET" describes it to drivers.
 */
DefinitionBlock ("", "SSDT", 1, "RINGER", "RINGHPET", 1)
{
    External (\_SB, DeviceObj)

    Scope (\_SB)
    {
        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadOnly, 0xfed00000, 0x400) })
        }
    }
}
