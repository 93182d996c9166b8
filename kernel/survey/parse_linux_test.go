package survey

import "testing"

func FuzzParseSave(f *testing.F) {
	f.Add("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n-A DOCKER-USER -s 192.0.2.1/32 -j DROP\n-A DOCKER-USER -j RETURN\n-A INPUT -j DROP\nCOMMIT\n")
	f.Add(":FORWARD\n-A  -j DROP\n::\n-A DOCKER-USER ")
	f.Fuzz(func(t *testing.T, text string) {
		report := &Report{}
		(&taking{report: report}).parseSave("ip", text)
		for _, c := range report.Chains {
			if c.Drops != (c.Why != "") || c.Hook == "" || c.Name == "" {
				t.Errorf("%q: %+v", text, c)
			}
		}
	})
}
