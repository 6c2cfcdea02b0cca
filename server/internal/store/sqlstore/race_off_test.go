//go:build !race

package sqlstore_test

const sparse = 1
