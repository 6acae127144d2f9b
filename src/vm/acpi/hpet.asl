/*
 * The high precision event timer, for machines that have one.
 */
DefinitionBlock ("", "SSDT", 1, "RINGER", "RINGHPET", 1)
{
    External (\_SB, DeviceObj)

    Scope (\_SB)
    {
        Device (HPET)
        {
            Name (_HID, EisaId ("PNP0103"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate () { Memory32Fixed (ReadOnly, 0xfed00000, 0x400) })
        }
    }
}
