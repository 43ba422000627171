// Package integrated answers the two questions that an application asks about
// its caller: who is it, and does it have a role?
//
//	GET /.soapward/whoami
//	{"username":"CORP\\alice","is_authenticated":true,"is_anonymous":false,"is_guest":false,"is_system":false,
//	 "sid":"S-1-5-21-1-2-3-1104","groups":[{"sid":"S-1-5-21-1-2-3-513","name":"CORP\\Domain Users"}],"mechanism":"Kerberos","time":"2026-11-26T06:00:00Z"}
//
//	GET /.soapward/role?name=payroll
//	{"role":"payroll","belongs":true}
//
// The same is a SOAP service, IntegratedSecurity, at /.soapward/security, whose
// description is at /.soapward/security?wsdl.
//
//   - [NewHandler] serves all three. Put the login in front of it.
//   - [DetailsOf] and [Details] are what whoami tells, for Go programs.
//   - [Service] is the SOAP service alone.
//
// An anonymous caller, where the login in front lets one through, is no error: it
// is told that it is anonymous, and has no role. A role that nobody knows is
// answered with no. If a directory does not answer, so is the question: status
// 503, and neither yes nor no.
//
// Compatibility: the names in JSON, which are in snake case, and the WSDL only
// gain fields.
package integrated
