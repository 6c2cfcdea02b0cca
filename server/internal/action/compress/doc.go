// Package compress holds compress-response (traffic-policy.md 6.6): gzip,
// deflate, br, and the LZW of the Unix program compress.
//
// Bodies are compressed as they are read. Whatever the upstream has sent so far
// leaves with it: where a read gives less than there was room for, what has
// been compressed is flushed, so that event streams keep moving.
package compress
