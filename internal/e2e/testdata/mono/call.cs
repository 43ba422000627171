// Calls a URL with Mono's HttpWebRequest. Input and output are those of
// foreignCall in foreign_test.go. With the argument "v2" it is told to speak
// NTLMv2, which it does not by itself.

using System;
using System.IO;
using System.Net;
using System.Text;
using Mono.Security.Protocol.Ntlm;

static class Call
{
	static int Main(string[] args)
	{
		if (args.Length > 0 && args[0] == "v2")
			NtlmSettings.DefaultAuthLevel = NtlmAuthLevel.NTLMv2_only;
		string[] input = Console.In.ReadToEnd().Split('\n');
		var url = new Uri(input[0]);
		for (int left = int.Parse(input[5]); left > 0; left--)
		{
			var request = (HttpWebRequest)WebRequest.Create(url);
			request.Proxy = null;
			request.Credentials = new NetworkCredential(input[2], input[3], input[1]);
			if (input[4] != "")
			{
				byte[] body = Encoding.UTF8.GetBytes(input[4]);
				request.Method = "POST";
				request.ContentLength = body.Length;
				using (Stream s = request.GetRequestStream())
					s.Write(body, 0, body.Length);
			}
			try
			{
				Print((HttpWebResponse)request.GetResponse());
			}
			catch (WebException e)
			{
				if (e.Response == null)
				{
					Console.Error.WriteLine(e);
					return 1;
				}
				Print((HttpWebResponse)e.Response);
			}
		}
		return 0;
	}

	static void Print(HttpWebResponse response)
	{
		using (response)
		using (var body = new MemoryStream())
		{
			response.GetResponseStream().CopyTo(body);
			Console.WriteLine("{0} {1}", (int)response.StatusCode, Convert.ToBase64String(body.ToArray()));
		}
	}
}
