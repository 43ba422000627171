package xsd

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// runeSet is a set of characters: ranges in order, without overlap.
type runeSet []runeRange

type runeRange struct{ lo, hi rune }

// setOf puts ranges in order and joins them.
func setOf(ranges ...runeRange) runeSet {
	slices.SortFunc(ranges, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	var s runeSet
	for _, r := range ranges {
		if n := len(s); n > 0 && r.lo <= s[n-1].hi+1 {
			s[n-1].hi = max(s[n-1].hi, r.hi)
			continue
		}
		s = append(s, r)
	}
	return s
}

func (s runeSet) union(t runeSet) runeSet { return setOf(append(slices.Clone(s), t...)...) }

// not returns all other characters.
func (s runeSet) not() runeSet {
	var out runeSet
	from := rune(0)
	for _, r := range s {
		if r.lo > from {
			out = append(out, runeRange{from, r.lo - 1})
		}
		from = r.hi + 1
	}
	if from <= unicode.MaxRune {
		out = append(out, runeRange{from, unicode.MaxRune})
	}
	return out
}

// minus returns s without t.
func (s runeSet) minus(t runeSet) runeSet { return s.not().union(t).not() }

// String returns the set as a class of package regexp.
func (s runeSet) String() string {
	if len(s) == 0 {
		return `[^\x{0}-\x{10FFFF}]`
	}
	var b strings.Builder
	b.WriteByte('[')
	for _, r := range s {
		fmt.Fprintf(&b, `\x{%X}`, r.lo)
		if r.hi > r.lo {
			fmt.Fprintf(&b, `-\x{%X}`, r.hi)
		}
	}
	b.WriteByte(']')
	return b.String()
}

func tableSet(tables ...*unicode.RangeTable) runeSet {
	var all []runeRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			all = append(all, runeRange{lo, hi})
			return
		}
		for c := lo; c <= hi; c += stride {
			all = append(all, runeRange{c, c})
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return setOf(all...)
}

// XML 1.0 productions 4 and 4a.
var (
	initialSet = setOf(runeRange{':', ':'}, runeRange{'A', 'Z'}, runeRange{'_', '_'}, runeRange{'a', 'z'},
		runeRange{0xC0, 0xD6}, runeRange{0xD8, 0xF6}, runeRange{0xF8, 0x2FF}, runeRange{0x370, 0x37D}, runeRange{0x37F, 0x1FFF},
		runeRange{0x200C, 0x200D}, runeRange{0x2070, 0x218F}, runeRange{0x2C00, 0x2FEF}, runeRange{0x3001, 0xD7FF},
		runeRange{0xF900, 0xFDCF}, runeRange{0xFDF0, 0xFFFD}, runeRange{0x10000, 0xEFFFF})
	nameSet = initialSet.union(setOf(runeRange{'-', '.'}, runeRange{'0', '9'}, runeRange{0xB7, 0xB7},
		runeRange{0x300, 0x36F}, runeRange{0x203F, 0x2040}))
	spaceSet = setOf(runeRange{'\t', '\n'}, runeRange{'\r', '\r'}, runeRange{' ', ' '})
)

// escape reads what stands behind a backslash. single reports whether it is
// one character, c. Productions 23 to 37.
func (p *patternParser) escape() (set runeSet, single bool, c rune, err error) {
	p.at++
	r, size := p.next()
	if size == 0 {
		return nil, false, 0, p.fail(`\ at the end`)
	}
	one := func(c rune) (runeSet, bool, rune, error) {
		p.at += size
		return setOf(runeRange{c, c}), true, c, nil
	}
	many := func(s runeSet) (runeSet, bool, rune, error) {
		p.at += size
		return s, false, 0, nil
	}
	switch r {
	case 'n':
		return one('\n')
	case 'r':
		return one('\r')
	case 't':
		return one('\t')
	case '\\', '|', '.', '?', '*', '+', '(', ')', '{', '}', '-', '[', ']', '^':
		return one(r)
	// Not of XML Schema, but found in the wild, and clear enough.
	case '/', '$', '@', '"', '\'', '#', '%', '&', ',', ':', ';', '=', '!', '<', '>', '~', '_', '`', ' ':
		return one(r)
	case 's':
		return many(spaceSet)
	case 'S':
		return many(spaceSet.not())
	case 'i':
		return many(initialSet)
	case 'I':
		return many(initialSet.not())
	case 'c':
		return many(nameSet)
	case 'C':
		return many(nameSet.not())
	case 'd':
		return many(tableSet(unicode.Nd))
	case 'D':
		return many(tableSet(unicode.Nd).not())
	case 'w':
		return many(tableSet(unicode.P, unicode.Z, unicode.C).not())
	case 'W':
		return many(tableSet(unicode.P, unicode.Z, unicode.C))
	case 'p', 'P':
		set, err := p.property(r == 'P')
		return set, false, 0, err
	}
	return nil, false, 0, p.fail(`unknown escape \` + string(r))
}

// property reads the rest of \p{...}: a category or a block.
func (p *patternParser) property(negated bool) (runeSet, error) {
	rest := p.src[p.at+1:]
	name, _, ok := strings.Cut(strings.TrimPrefix(rest, "{"), "}")
	if !ok || !strings.HasPrefix(rest, "{") {
		return nil, p.fail(`\p without {...}`)
	}
	var set runeSet
	if block, isBlock := strings.CutPrefix(name, "Is"); isBlock {
		r, known := blocks[block]
		if !known {
			return nil, p.fail("unknown block " + name)
		}
		set = setOf(r)
	} else {
		t := unicode.Categories[name]
		if t == nil || len(name) > 2 {
			return nil, p.fail("unknown category " + name)
		}
		set = tableSet(t)
	}
	p.at += len(name) + 3
	if negated {
		set = set.not()
	}
	return set, nil
}

// class reads a class in brackets. Productions 12 to 22.
func (p *patternParser) class(depth int) (runeSet, error) {
	if depth > maxNesting {
		return nil, p.fail("nested too deeply")
	}
	p.at++ // [
	negated := strings.HasPrefix(p.src[p.at:], "^")
	if negated {
		p.at++
	}
	var ranges []runeRange
	for first := true; ; first = false {
		r, size := p.next()
		switch {
		case size == 0:
			return nil, p.fail("missing ]")
		case r == ']' && !first:
			p.at++
			return finish(ranges, negated), nil
		case r == ']':
			return nil, p.fail("an empty class")
		case r == '[':
			return nil, p.fail("unexpected [")
		case r == '-' && strings.HasPrefix(p.src[p.at:], "-[") && !first:
			p.at++
			less, err := p.class(depth + 1)
			if err != nil {
				return nil, err
			}
			if r, _ := p.next(); r != ']' {
				return nil, p.fail("a class goes on behind what is subtracted")
			}
			p.at++
			return finish(ranges, negated).minus(less), nil
		}
		lo, single, err := p.member(&ranges)
		if err != nil {
			return nil, err
		}
		if !single {
			continue
		}
		hi := lo
		rest := p.src[p.at:]
		if strings.HasPrefix(rest, "-") && !strings.HasPrefix(rest, "-]") && !strings.HasPrefix(rest, "-[") {
			p.at++
			if hi, single, err = p.member(nil); err != nil {
				return nil, err
			}
			if !single || hi < lo {
				return nil, p.fail("not a range")
			}
		}
		ranges = append(ranges, runeRange{lo, hi})
	}
}

// member reads a character of a class, or an escape for several, which are
// added to ranges.
func (p *patternParser) member(ranges *[]runeRange) (c rune, single bool, err error) {
	r, size := p.next()
	if r != '\\' {
		p.at += size
		return r, size > 0, nil
	}
	set, single, c, err := p.escape()
	if err == nil && !single && ranges != nil {
		*ranges = append(*ranges, set...)
	}
	return c, single, err
}

func finish(ranges []runeRange, negated bool) runeSet {
	set := setOf(ranges...)
	if negated {
		return set.not()
	}
	return set
}

// blocks are those of XML Schema (F.1.1), and the larger ones that Unicode has
// added since.
var blocks = map[string]runeRange{
	"BasicLatin": {0x0000, 0x007F}, "Latin-1Supplement": {0x0080, 0x00FF}, "LatinExtended-A": {0x0100, 0x017F},
	"LatinExtended-B": {0x0180, 0x024F}, "IPAExtensions": {0x0250, 0x02AF}, "SpacingModifierLetters": {0x02B0, 0x02FF},
	"CombiningDiacriticalMarks": {0x0300, 0x036F}, "Greek": {0x0370, 0x03FF}, "GreekandCoptic": {0x0370, 0x03FF},
	"Cyrillic": {0x0400, 0x04FF}, "CyrillicSupplement": {0x0500, 0x052F}, "Armenian": {0x0530, 0x058F}, "Hebrew": {0x0590, 0x05FF},
	"Arabic": {0x0600, 0x06FF}, "Syriac": {0x0700, 0x074F}, "Thaana": {0x0780, 0x07BF}, "Devanagari": {0x0900, 0x097F},
	"Bengali": {0x0980, 0x09FF}, "Gurmukhi": {0x0A00, 0x0A7F}, "Gujarati": {0x0A80, 0x0AFF}, "Oriya": {0x0B00, 0x0B7F},
	"Tamil": {0x0B80, 0x0BFF}, "Telugu": {0x0C00, 0x0C7F}, "Kannada": {0x0C80, 0x0CFF}, "Malayalam": {0x0D00, 0x0D7F},
	"Sinhala": {0x0D80, 0x0DFF}, "Thai": {0x0E00, 0x0E7F}, "Lao": {0x0E80, 0x0EFF}, "Tibetan": {0x0F00, 0x0FFF},
	"Myanmar": {0x1000, 0x109F}, "Georgian": {0x10A0, 0x10FF}, "HangulJamo": {0x1100, 0x11FF}, "Ethiopic": {0x1200, 0x137F},
	"Cherokee": {0x13A0, 0x13FF}, "UnifiedCanadianAboriginalSyllabics": {0x1400, 0x167F}, "Ogham": {0x1680, 0x169F},
	"Runic": {0x16A0, 0x16FF}, "Khmer": {0x1780, 0x17FF}, "Mongolian": {0x1800, 0x18AF},
	"LatinExtendedAdditional": {0x1E00, 0x1EFF}, "GreekExtended": {0x1F00, 0x1FFF}, "GeneralPunctuation": {0x2000, 0x206F},
	"SuperscriptsandSubscripts": {0x2070, 0x209F}, "CurrencySymbols": {0x20A0, 0x20CF},
	"CombiningMarksforSymbols": {0x20D0, 0x20FF}, "CombiningDiacriticalMarksforSymbols": {0x20D0, 0x20FF},
	"LetterlikeSymbols": {0x2100, 0x214F}, "NumberForms": {0x2150, 0x218F}, "Arrows": {0x2190, 0x21FF},
	"MathematicalOperators": {0x2200, 0x22FF}, "MiscellaneousTechnical": {0x2300, 0x23FF}, "ControlPictures": {0x2400, 0x243F},
	"OpticalCharacterRecognition": {0x2440, 0x245F}, "EnclosedAlphanumerics": {0x2460, 0x24FF}, "BoxDrawing": {0x2500, 0x257F},
	"BlockElements": {0x2580, 0x259F}, "GeometricShapes": {0x25A0, 0x25FF}, "MiscellaneousSymbols": {0x2600, 0x26FF},
	"Dingbats": {0x2700, 0x27BF}, "BraillePatterns": {0x2800, 0x28FF}, "CJKRadicalsSupplement": {0x2E80, 0x2EFF},
	"KangxiRadicals": {0x2F00, 0x2FDF}, "IdeographicDescriptionCharacters": {0x2FF0, 0x2FFF},
	"CJKSymbolsandPunctuation": {0x3000, 0x303F}, "Hiragana": {0x3040, 0x309F}, "Katakana": {0x30A0, 0x30FF},
	"Bopomofo": {0x3100, 0x312F}, "HangulCompatibilityJamo": {0x3130, 0x318F}, "Kanbun": {0x3190, 0x319F},
	"BopomofoExtended": {0x31A0, 0x31BF}, "EnclosedCJKLettersandMonths": {0x3200, 0x32FF}, "CJKCompatibility": {0x3300, 0x33FF},
	"CJKUnifiedIdeographsExtensionA": {0x3400, 0x4DBF}, "CJKUnifiedIdeographs": {0x4E00, 0x9FFF}, "YiSyllables": {0xA000, 0xA48F},
	"YiRadicals": {0xA490, 0xA4CF}, "HangulSyllables": {0xAC00, 0xD7A3}, "PrivateUse": {0xE000, 0xF8FF},
	"CJKCompatibilityIdeographs": {0xF900, 0xFAFF}, "AlphabeticPresentationForms": {0xFB00, 0xFB4F},
	"ArabicPresentationForms-A": {0xFB50, 0xFDFF}, "CombiningHalfMarks": {0xFE20, 0xFE2F}, "CJKCompatibilityForms": {0xFE30, 0xFE4F},
	"SmallFormVariants": {0xFE50, 0xFE6F}, "ArabicPresentationForms-B": {0xFE70, 0xFEFF},
	"HalfwidthandFullwidthForms": {0xFF00, 0xFFEF}, "Specials": {0xFFF0, 0xFFFF}, "OldItalic": {0x10300, 0x1032F},
	"Gothic": {0x10330, 0x1034F}, "Deseret": {0x10400, 0x1044F}, "ByzantineMusicalSymbols": {0x1D000, 0x1D0FF},
	"MusicalSymbols": {0x1D100, 0x1D1FF}, "MathematicalAlphanumericSymbols": {0x1D400, 0x1D7FF},
	"CJKUnifiedIdeographsExtensionB": {0x20000, 0x2A6DF}, "CJKCompatibilityIdeographsSupplement": {0x2F800, 0x2FA1F},
	"Tags": {0xE0000, 0xE007F},
}
