// Package strictyaml decodes configuration files so that no mistake in them passes unnoticed: unknown and
// repeated keys, wrong types, tabs and unset variables become [Problems], each with file, line, column, the
// path of the key and, where one can be guessed, a hint. All problems of a file are reported at once.
//
// Struct fields take part when they carry a yaml tag with a name; `yaml:",inline"` on a struct field takes
// its fields into the surrounding mapping. Understood are strings, booleans, numbers, [time.Duration]
// ("10s"), slices, maps with string keys, pointers, structs, any, and every type whose pointer implements
// [encoding.TextUnmarshaler], which receives the text of any scalar. A key with an empty value counts as
// absent. A number given for a string is taken as it is written; a boolean is not, since it is nearly always
// a mistake.
//
// Anchors and aliases work, merge keys ("<<") and several documents in one file do not. Text that grows
// beyond its bounds when aliases are followed is refused.
//
// A [Document] is not safe for concurrent use. The package is for files of settings, not for data of strangers.
package strictyaml
