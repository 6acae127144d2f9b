/* Ends. What fork+exec starts. */
int main(void)
{
    return 0;
}
