package vault

// hidden stands for what is not shown.
const hidden = "***"

// Mask returns a credential's last four characters behind dots, for messages to its owner. Text too short to
// hide the rest shows nothing of itself.
func Mask(credential string) string {
	const shown, least = 4, 12
	if len(credential) < least {
		return hidden
	}
	return hidden + credential[len(credential)-shown:]
}
