/*
 * The parallel port (wire_parallel.c): a standard port with a data register that can be read. A guest gets this table if its machine has
 * the port.
 */
DefinitionBlock ("", "SSDT", 1, "RINGER", "RINGLPT1", 1)
{
    External (\_SB.PCI0.ISA, DeviceObj)

    Scope (\_SB.PCI0.ISA)
    {
        Device (LPT1)
        {
            Name (_HID, EisaId ("PNP0400"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x378, 0x378, 1, 8)
                IRQNoFlags () { 7 }
            })
        }
    }
}
