/*
 * Suspend to RAM (ACPI 2.0c, 7.3.2): SLP_TYP of PM1_CNT is 1. A guest gets this table unless the user has turned suspending off
 * (-global PIIX4_PM.disable_s3=1).
 */
DefinitionBlock ("", "SSDT", 1, "RINGER", "RINGSLP3", 1)
{
    Name (\_S3, Package () { 1, 1, 0, 0 })
}
