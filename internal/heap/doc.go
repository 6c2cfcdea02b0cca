// Package heap sets how often the garbage collector of a whole program runs.
//
// The collector lets a heap grow to twice of what it found alive, but at least to 4 MiB. A gateway keeps little
// alive and makes garbage with each request, so that it would collect many times a second, which takes a tenth of its
// time and lengthens the slowest answers. [Floor] has it wait until a heap worth the work is there.
//
// It changes what belongs to the process, so only programs use it, never a library. It may be called from anywhere,
// once at a time.
package heap
