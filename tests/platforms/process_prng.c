/* Wine before version 9 has no bcryptprimitives.dll, which Rust's std needs for random numbers.
   This library stands in for it in the tests, and belongs into no package. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
