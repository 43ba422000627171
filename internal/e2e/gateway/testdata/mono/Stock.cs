// A web service of ASP.NET's. It has no login: it believes the header
// X-Remote-User, and the token in X-Identity only if one of the keys at JWKS signed
// it for it, by RS256 (RFC 7518 3.3).

using System;
using System.Collections.Generic;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Web.Script.Serialization;
using System.Web.Services;

public class Caller {
	public string user, token, mechanism, credentials;
}

[WebService(Namespace = "urn:stock")]
public class Stock : WebService {
	[WebMethod]
	public Caller WhoAmI() {
		var c = Claims(Context.Request.Headers["X-Identity"]);
		return new Caller {
			user = Context.Request.Headers["X-Remote-User"], token = c["domain"] + "\\" + c["account"],
			mechanism = (string)c["mechanism"], credentials = Context.Request.Headers["Authorization"] ?? "",
		};
	}

	[WebMethod]
	public string Pay(int amount) { return amount + " to " + Context.Request.Headers["X-Remote-User"]; }

	static Dictionary<string, object> Claims(string token) {
		string[] parts = token.Split('.');
		var head = Parse(Encoding.UTF8.GetString(Decode(parts[0])));
		string keys = new WebClient { Proxy = null }.DownloadString(Environment.GetEnvironmentVariable("JWKS"));
		foreach (Dictionary<string, object> key in (System.Collections.IEnumerable)Parse(keys)["keys"]) {
			if (!key["kid"].Equals(head["kid"]) || !key["kty"].Equals("RSA") || !head["alg"].Equals("RS256")) continue;
			using (var rsa = new RSACryptoServiceProvider()) {
				rsa.ImportParameters(new RSAParameters { Modulus = Decode((string)key["n"]), Exponent = Decode((string)key["e"]) });
				if (!rsa.VerifyData(Encoding.ASCII.GetBytes(parts[0] + "." + parts[1]), "SHA256", Decode(parts[2])))
					throw new Exception("the token is not signed by the gateway");
			}
			var c = Parse(Encoding.UTF8.GetString(Decode(parts[1])));
			if (!c["aud"].Equals("stock")) throw new Exception("the token is for somebody else");
			return c;
		}
		throw new Exception("no key for the token");
	}

	static Dictionary<string, object> Parse(string json) {
		return new JavaScriptSerializer().Deserialize<Dictionary<string, object>>(json);
	}

	static byte[] Decode(string s) {
		s = s.Replace('-', '+').Replace('_', '/');
		return Convert.FromBase64String(s + new string('=', (4 - s.Length % 4) % 4));
	}
}
