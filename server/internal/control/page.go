package control

import "errors"

// errPageFull says that there is an object for which a page has no room.
var errPageFull = errors.New("the page is full")

// pageOf collects the objects of a page.
type pageOf struct {
	Page
	items []any
}

func (p *pageOf) add(a any) error {
	if p.Match != nil {
		if ok, err := p.Match(a); err != nil || !ok {
			return err
		}
	}
	if len(p.items) == p.Limit {
		return errPageFull
	}
	p.items = append(p.items, a)
	return nil
}

// end is what a list returns: all has been added, or err has ended it.
func (p *pageOf) end(err error) (items []any, more bool, failed error) {
	switch {
	case errors.Is(err, errPageFull):
		return p.items, true, nil
	case err != nil:
		return nil, false, err
	}
	return p.items, false, nil
}
