/* Exits at once. The program that fork+exec starts. */
int main(void)
{
    return 0;
}
