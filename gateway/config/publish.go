package config

// Publish says what people see who look for a service.
type Publish struct {
	// Page is a page that lists services and operations.
	Page bool `yaml:"page"`
}

// A Publishing says who gets the description of a service.
type Publishing string

// Ways to publish. None is PublishLogin.
const (
	PublishLogin Publishing = "login" // who logs in to the service
	PublishOpen  Publishing = "open"  // everybody
	PublishOff   Publishing = "off"   // nobody
)

func (Publishing) choices() []string {
	return []string{string(PublishLogin), string(PublishOpen), string(PublishOff)}
}

// checkPublish looks at how a service is shown.
func (d *decoder) checkPublish(s *Service, path string) {
	switch {
	case s.Publish == "":
		s.Publish = PublishLogin
	case s.WSDL == "":
		d.failAt(&s.Publish, "%s.publish says who gets the description: want wsdl: FILE beside it, or leave the line out", path)
	}
	if u := s.PublicURL.URL; u != nil && (u.RawQuery != "" || u.ForceQuery) {
		d.failAt(&s.PublicURL, "%s.public_url: want no ? in it", path)
	}
}
