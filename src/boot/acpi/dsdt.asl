/*
 * The ACPI name space of this machine: PCI host, interrupt routing, the ISA devices that every machine has, sleep and
 * power-off. The other files of this folder have the devices that not every machine has. iasl compiles them when Ringer is
 * built; acpi_tables.c gives them to the guest.
 *
 * _HID values are those of "PNP Device IDs" (devids.txt). Devices with fixed resources have no methods.
 */
DefinitionBlock ("", "DSDT", 1, "RINGER", "RINGERPC", 1)
{
    /* The start of PCI's part of the address space, in an SSDT that acpi_tables.c writes. */
    External (PCIB, IntObj)

    /* The interrupt controller that the operating system uses: 0 the 8259 pair, 1 the I/O APIC. */
    Name (PICM, 0)
    Method (\_PIC, 1, NotSerialized) { PICM = Arg0 }

    /* SLP_TYP of PM1_CNT: 0 is soft off. */
    Name (\_S5, Package () { 0, 0, 0, 0 })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)

            Name (CRES, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xff, 0, 0x100)
                IO (Decode16, 0xcf8, 0xcf8, 1, 8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0, 0xcf7, 0, 0xcf8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0xd00, 0xffff, 0, 0xf300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                             0, 0xa0000, 0xbffff, 0, 0x20000)
                /* From the end of RAM to the APICs and the firmware. MIN and LEN are filled in. */
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                             0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000, , , PMEM)
            })
            CreateDWordField (CRES, PMEM._MIN, PMIN)
            CreateDWordField (CRES, PMEM._LEN, PLEN)

            Method (_CRS, 0, Serialized)
            {
                PMIN = PCIB
                PLEN = 0xfec00000 - PCIB
                Return (CRES)
            }

            /* Pin n of a slot is wired to PIRQ (slot - 1 + n) mod 4. The PIRQs go to inputs 16 to 19 of the I/O APIC, and to
             * the PIIX3, which routes them to inputs of the 8259 pair. */
            Method (_PRT, 0, NotSerialized)
            {
                Local0 = Package (128) {}
                Local1 = 0
                While (Local1 < 128)
                {
                    Local2 = Local1 >> 2
                    Local3 = (Local1 + Local2 + 3) & 3
                    If (Local3 == 0) { Local4 = Package () { 0, 0, LNKA, 0 } }
                    If (Local3 == 1) { Local4 = Package () { 0, 0, LNKB, 0 } }
                    If (Local3 == 2) { Local4 = Package () { 0, 0, LNKC, 0 } }
                    If (Local3 == 3) { Local4 = Package () { 0, 0, LNKD, 0 } }
                    /* The power management function's interrupt is the SCI. */
                    If (Local1 == 4) { Local4 = Package () { 0, 0, LNKS, 0 } }
                    If (PICM != 0)
                    {
                        Local4 [2] = 0
                        Local4 [3] = Local3 + 16
                        If (Local1 == 4) { Local4 [3] = 9 }
                    }
                    Local4 [0] = (Local2 << 16) | 0xffff
                    Local4 [1] = Local1 & 3
                    Local0 [Local1] = Local4
                    Local1++
                }
                Return (Local0)
            }

            /* The PIIX3's ISA bridge. */
            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (PIRC, PCI_Config, 0x60, 4)
                Field (PIRC, ByteAcc, NoLock, Preserve) { PRQA, 8, PRQB, 8, PRQC, 8, PRQD, 8 }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x20, 0x20, 1, 2)
                        IO (Decode16, 0xa0, 0xa0, 1, 2)
                        IO (Decode16, 0x4d0, 0x4d0, 1, 2)
                        IRQNoFlags () { 2 }
                    })
                }

                Device (PIT)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x40, 0x40, 1, 4)
                        IRQNoFlags () { 0 }
                    })
                }

                Device (DMAC)
                {
                    Name (_HID, EisaId ("PNP0200"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x00, 0x00, 1, 0x10)
                        IO (Decode16, 0x80, 0x80, 1, 0x10)
                        IO (Decode16, 0xc0, 0xc0, 1, 0x20)
                        DMA (Compatibility, NotBusMaster, Transfer8_16) { 4 }
                    })
                }

                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x61, 0x61, 1, 1) })
                }

                Device (FPU)
                {
                    Name (_HID, EisaId ("PNP0C04"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0xf0, 0xf0, 1, 1)
                        IRQNoFlags () { 13 }
                    })
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x70, 0x70, 1, 2)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x60, 0x60, 1, 1)
                        IO (Decode16, 0x64, 0x64, 1, 1)
                        IRQNoFlags () { 1 }
                    })
                }

                Device (MOU)
                {
                    Name (_HID, EisaId ("PNP0F13"))
                    Name (_CRS, ResourceTemplate () { IRQNoFlags () { 12 } })
                }

                /* The firmware configuration device; Linux has a driver for it. */
                Device (FWCF)
                {
                    Name (_HID, "QEMU0002")
                    Name (_STA, 0x0b)
                    Name (_CRS, ResourceTemplate () { IO (Decode16, 0x510, 0x510, 1, 12) })
                }

                /* Ports of the board: A20 gate, SMI commands, power management, hot plug. */
                Device (SYSR)
                {
                    Name (_HID, EisaId ("PNP0C02"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x92, 0x92, 1, 1)
                        IO (Decode16, 0xb2, 0xb2, 1, 2)
                        IO (Decode16, 0x600, 0x600, 1, 0x40)
                        IO (Decode16, 0x700, 0x700, 1, 0x10)
                        IO (Decode16, 0xae00, 0xae00, 1, 0x10)
                    })
                }
            }
        }

        /* PIRQ route registers: bit 7 not routed, 3-0 IRQ. */
        Name (PIRS, ResourceTemplate () { IRQ (Level, ActiveLow, Shared) { 5, 10, 11 } })

        Name (PIRB, ResourceTemplate () { IRQ (Level, ActiveLow, Shared, LNKI) { 0 } })
        CreateWordField (PIRB, LNKI._INT, PIRM)

        Method (PCRS, 1, Serialized)
        {
            PIRM = 0
            If (!(Arg0 & 0x80)) { PIRM = 1 << (Arg0 & 0x0f) }
            Return (PIRB)
        }

        Method (PSTA, 1, NotSerialized)
        {
            If (Arg0 & 0x80) { Return (0x09) }
            Return (0x0b)
        }

        /* The value of a route register for the IRQ in a resource buffer. */
        Method (PRTE, 1, Serialized)
        {
            CreateWordField (Arg0, 1, MASK)
            FindSetRightBit (MASK, Local0)
            Return (Local0 - 1)
        }

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0)
            Method (_STA) { Return (PSTA (^^PCI0.ISA.PRQA)) }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (^^PCI0.ISA.PRQA)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQA = PRTE (Arg0) }
            Method (_DIS) { ^^PCI0.ISA.PRQA |= 0x80 }
        }

        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_STA) { Return (PSTA (^^PCI0.ISA.PRQB)) }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (^^PCI0.ISA.PRQB)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQB = PRTE (Arg0) }
            Method (_DIS) { ^^PCI0.ISA.PRQB |= 0x80 }
        }

        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_STA) { Return (PSTA (^^PCI0.ISA.PRQC)) }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (^^PCI0.ISA.PRQC)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQC = PRTE (Arg0) }
            Method (_DIS) { ^^PCI0.ISA.PRQC |= 0x80 }
        }

        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_STA) { Return (PSTA (^^PCI0.ISA.PRQD)) }
            Method (_PRS) { Return (PIRS) }
            Method (_CRS) { Return (PCRS (^^PCI0.ISA.PRQD)) }
            Method (_SRS, 1) { ^^PCI0.ISA.PRQD = PRTE (Arg0) }
            Method (_DIS) { ^^PCI0.ISA.PRQD |= 0x80 }
        }

        /* The SCI is soldered to IRQ 9. */
        Device (LNKS)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 4)
            Name (_PRS, ResourceTemplate () { IRQ (Level, ActiveLow, Shared) { 9 } })
            Name (_CRS, ResourceTemplate () { IRQ (Level, ActiveLow, Shared) { 9 } })
            Method (_STA) { Return (0x0b) }
            Method (_SRS, 1) {}
            Method (_DIS) {}
        }
    }
}
