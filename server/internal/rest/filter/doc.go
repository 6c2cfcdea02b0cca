// Package filter evaluates the filters of lists: a boolean expression over the fields of one object as it is
// answered, in a subset of CEL (api.md 1.6). There are comparisons of a field with a value, in, startsWith,
// endsWith, contains and size, joined by !, &&, || and parentheses; no arithmetic, indexing, macros or
// comparisons of two fields. So the work for one object is bounded by the length of the filter.
//
// Types are checked when a filter is compiled, by the table of the resource: a filter that is refused is
// refused for every object and for none.
package filter
