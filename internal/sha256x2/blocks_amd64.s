#include "textflag.h"

// The two hashes are A, in X1 to X7, and B, in X8 to X14. Of each, the first two
// registers are the state as the instructions want it, ABEF and CDGH, the next
// four the last 16 words of the message schedule, and the last one is scratch.
// X0 is the operand of SHA256RNDS2 that has no name, and X15 turns bytes around.

// WORDS loads four words of a block.
#define WORDS(offset, p, m) \
	VMOVDQU offset(p), m \
	VPSHUFB X15, m, m

// ROUNDS does four rounds with the words m.
#define ROUNDS(k, m, s0, s1) \
	VPADDD k(R8), m, X0 \
	SHA256RNDS2 X0, s0, s1 \
	VPSHUFD $0x0e, X0, X0 \
	SHA256RNDS2 X0, s1, s0

// NEXT completes the four words that follow m, of which m0 holds a part; prev
// precedes m.
#define NEXT(prev, m, m0, t) \
	VPALIGNR $4, prev, m, t \
	VPADDD t, m0, m0 \
	SHA256MSG2 m, m0

// FIRST, SECOND, MIDDLE and LAST are four rounds of both hashes: without other
// words than their own, starting the schedule, going on with it, and ending it.
#define FIRST(offset, a, b) \
	WORDS(offset, SI, a) \
	WORDS(offset, CX, b) \
	ROUNDS(4*offset/4, a, X1, X2) \
	ROUNDS(4*offset/4, b, X8, X9)

#define SECOND(offset, aprev, a, bprev, b) \
	FIRST(offset, a, b) \
	SHA256MSG1 a, aprev \
	SHA256MSG1 b, bprev

#define MIDDLE(k, aprev, a, anext, bprev, b, bnext) \
	NEXT(aprev, a, anext, X7) \
	NEXT(bprev, b, bnext, X14) \
	ROUNDS(k, a, X1, X2) \
	ROUNDS(k, b, X8, X9) \
	SHA256MSG1 a, aprev \
	SHA256MSG1 b, bprev

#define LAST(k, aprev, a, anext, bprev, b, bnext) \
	NEXT(aprev, a, anext, X7) \
	NEXT(bprev, b, bnext, X14) \
	ROUNDS(k, a, X1, X2) \
	ROUNDS(k, b, X8, X9)

// FIRST1 to LAST1 are the same of hash A alone.
#define FIRST1(offset, a) \
	WORDS(offset, SI, a) \
	ROUNDS(4*offset/4, a, X1, X2)

#define SECOND1(offset, aprev, a) \
	FIRST1(offset, a) \
	SHA256MSG1 a, aprev

#define MIDDLE1(k, aprev, a, anext) \
	NEXT(aprev, a, anext, X7) \
	ROUNDS(k, a, X1, X2) \
	SHA256MSG1 a, aprev

#define LAST1(k, aprev, a, anext) \
	NEXT(aprev, a, anext, X7) \
	ROUNDS(k, a, X1, X2)

// func blocks2(a *state, pa *byte, b *state, pb *byte, n int)
TEXT ·blocks2(SB), NOSPLIT, $0-40
	MOVQ a+0(FP), DI
	MOVQ pa+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ pb+24(FP), CX
	MOVQ n+32(FP), BX
	LEAQ ·constants(SB), R8
	VMOVDQU ·bigEndian(SB), X15
	VMOVDQU (DI), X1
	VMOVDQU 16(DI), X2
	VMOVDQU (DX), X8
	VMOVDQU 16(DX), X9

loop:
	FIRST(0, X3, X10)
	SECOND(16, X3, X4, X10, X11)
	SECOND(32, X4, X5, X11, X12)
	WORDS(48, SI, X6)
	WORDS(48, CX, X13)
	MIDDLE(48, X5, X6, X3, X12, X13, X10)
	MIDDLE(64, X6, X3, X4, X13, X10, X11)
	MIDDLE(80, X3, X4, X5, X10, X11, X12)
	MIDDLE(96, X4, X5, X6, X11, X12, X13)
	MIDDLE(112, X5, X6, X3, X12, X13, X10)
	MIDDLE(128, X6, X3, X4, X13, X10, X11)
	MIDDLE(144, X3, X4, X5, X10, X11, X12)
	MIDDLE(160, X4, X5, X6, X11, X12, X13)
	MIDDLE(176, X5, X6, X3, X12, X13, X10)
	MIDDLE(192, X6, X3, X4, X13, X10, X11)
	LAST(208, X3, X4, X5, X10, X11, X12)
	LAST(224, X4, X5, X6, X11, X12, X13)
	ROUNDS(240, X6, X1, X2)
	ROUNDS(240, X13, X8, X9)
	VPADDD (DI), X1, X1
	VPADDD 16(DI), X2, X2
	VPADDD (DX), X8, X8
	VPADDD 16(DX), X9, X9
	VMOVDQU X1, (DI)
	VMOVDQU X2, 16(DI)
	VMOVDQU X8, (DX)
	VMOVDQU X9, 16(DX)
	ADDQ $64, SI
	ADDQ $64, CX
	DECQ BX
	JNZ loop
	RET

// func blocks1(a *state, pa *byte, n int)
TEXT ·blocks1(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), DI
	MOVQ pa+8(FP), SI
	MOVQ n+16(FP), BX
	LEAQ ·constants(SB), R8
	VMOVDQU ·bigEndian(SB), X15
	VMOVDQU (DI), X1
	VMOVDQU 16(DI), X2

loop:
	FIRST1(0, X3)
	SECOND1(16, X3, X4)
	SECOND1(32, X4, X5)
	WORDS(48, SI, X6)
	MIDDLE1(48, X5, X6, X3)
	MIDDLE1(64, X6, X3, X4)
	MIDDLE1(80, X3, X4, X5)
	MIDDLE1(96, X4, X5, X6)
	MIDDLE1(112, X5, X6, X3)
	MIDDLE1(128, X6, X3, X4)
	MIDDLE1(144, X3, X4, X5)
	MIDDLE1(160, X4, X5, X6)
	MIDDLE1(176, X5, X6, X3)
	MIDDLE1(192, X6, X3, X4)
	LAST1(208, X3, X4, X5)
	LAST1(224, X4, X5, X6)
	ROUNDS(240, X6, X1, X2)
	VPADDD (DI), X1, X1
	VPADDD 16(DI), X2, X2
	VMOVDQU X1, (DI)
	VMOVDQU X2, 16(DI)
	ADDQ $64, SI
	DECQ BX
	JNZ loop
	RET

// func supported() bool
TEXT ·supported(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	MOVL $0, AX
	CPUID
	CMPL AX, $7
	JLT no
	MOVL $1, AX
	CPUID
	ANDL $0x18000200, CX // SSSE3, OSXSAVE, AVX
	CMPL CX, $0x18000200
	JNE no
	MOVL $0, CX
	XGETBV
	ANDL $6, AX // the system keeps XMM and YMM
	CMPL AX, $6
	JNE no
	MOVL $7, AX
	MOVL $0, CX
	CPUID
	SHRL $29, BX // SHA
	ANDL $1, BX
	MOVB BX, ret+0(FP)
no:
	RET
