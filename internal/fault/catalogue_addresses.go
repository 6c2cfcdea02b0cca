package fault

// Faults of reserved TCP addresses (api.md 2.3).
const (
	// AddressForeign means that another account has reserved a TCP address. Argument: the address.
	AddressForeign Code = "ERR_NGROK_309"
	// AddressRegion means that an address is asked for in a region that there is not. Arguments: the region, the server's own.
	AddressRegion Code = "ERR_NGROK_500"
	// AddressDescription means that the description is too long.
	AddressDescription Code = "ERR_NGROK_504"
	// AddressMetadata means that the metadata are too long.
	AddressMetadata Code = "ERR_NGROK_505"
	// AddressUpdateEmpty means that an update names no field.
	AddressUpdateEmpty Code = "ERR_NGROK_506"
	// AddressTaken means that an address that is asked for cannot be had. Argument: the address.
	AddressTaken Code = "ERR_CULVERT_1670"
	// AddressInUse means that a cloud endpoint uses an address that is to be given up. Arguments: the address, the endpoint's URL.
	AddressInUse Code = "ERR_CULVERT_1671"
)

func addressEntries() []Entry {
	return []Entry{
		{Code: AddressForeign, Status: 403, Title: "Reserved by another account", Message: "Another account has reserved the TCP address %s.", Remedy: "Use tcp:// alone to get an address from the server, or reserve one of your own: culvert api reserved-addrs create."},
		{Code: AddressRegion, Status: 400, Title: "Region not known", Message: "There is no region %s; this server is in %s.", Remedy: "Leave the region away."},
		{Code: AddressDescription, Status: 400, Title: "Description too long", Message: "The description is too long: it may have 255 bytes.", Remedy: "Shorten the description."},
		{Code: AddressMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata are too long: they may have 4096 bytes.", Remedy: "Shorten the metadata."},
		{Code: AddressUpdateEmpty, Status: 400, Title: "Nothing to change", Message: "The update names no field to change.", Remedy: "Name at least one of description and metadata."},
		{Code: AddressTaken, Status: 400, Title: "The address is taken", Message: "The address %s is reserved already, or another account has an endpoint there.", Remedy: "Ask for another port, or for none: the server then chooses one that is free."},
		{Code: AddressInUse, Status: 400, Title: "The address is in use", Message: "The address %s is used by the cloud endpoint %s.", Remedy: "Delete the endpoint first, or give it another URL."},
	}
}
