/*
 * The floppy controller and its drive A, for machines that have them.
 */
DefinitionBlock ("", "SSDT", 1, "RINGER", "RINGFDC", 1)
{
    External (\_SB.PCI0.ISA, DeviceObj)

    Scope (\_SB.PCI0.ISA)
    {
        Device (FDC0)
        {
            Name (_HID, EisaId ("PNP0700"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3f2, 0x3f2, 1, 4)
                IO (Decode16, 0x3f7, 0x3f7, 1, 1)
                IRQNoFlags () { 6 }
                DMA (Compatibility, NotBusMaster, Transfer8) { 2 }
            })
        }
    }
}
