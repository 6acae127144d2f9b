/* The program that fork+exec starts. It exits at once. */
int main(void)
{
    return 0;
}
