package strictyaml

// Decode is Parse and Document.Decode in one.
func Decode(file string, data []byte, into any) error {
	d, err := Parse(file, data, Options{})
	if err != nil {
		return err
	}
	return d.Decode(into)
}
