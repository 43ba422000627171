// Serves an application of ASP.NET's on a port of 127.0.0.1, since the server that
// Debian has for that, xsp4, does not start with its Mono. Arguments: the
// application's directory, the port. The class is in the application's library.
using System;
using System.IO;
using System.Net;
using System.Threading;
using System.Web;
using System.Web.Hosting;

// Host lives in the application's domain.
public class Host : MarshalByRefObject {
	public override object InitializeLifetimeService() { return null; }

	public void Serve(string port) {
		var listener = new HttpListener();
		listener.Prefixes.Add("http://127.0.0.1:" + port + "/");
		listener.Start();
		for (;;) {
			var context = listener.GetContext();
			ThreadPool.QueueUserWorkItem(_ => HttpRuntime.ProcessRequest(new Request(context)));
		}
	}

	public static void Main(string[] args) {
		((Host)ApplicationHost.CreateApplicationHost(typeof(Host), "/", args[0])).Serve(args[1]);
	}
}

// Request is a request of HttpListener's for ASP.NET.
class Request : SimpleWorkerRequest {
	readonly HttpListenerContext context;
	readonly byte[] body;
	readonly MemoryStream answer = new MemoryStream();

	public Request(HttpListenerContext c) : base(c.Request.Url.AbsolutePath.TrimStart('/'), c.Request.Url.Query.TrimStart('?'), null) {
		context = c;
		var m = new MemoryStream();
		c.Request.InputStream.CopyTo(m);
		body = m.ToArray();
	}

	public override string GetHttpVerbName() { return context.Request.HttpMethod; }
	public override string GetHttpVersion() { return "HTTP/1.1"; }
	public override string GetLocalAddress() { return "127.0.0.1"; }
	public override int GetLocalPort() { return context.Request.LocalEndPoint.Port; }
	public override byte[] GetPreloadedEntityBody() { return body; }
	public override bool IsEntireEntityBodyIsPreloaded() { return true; }
	public override int GetPreloadedEntityBodyLength() { return body.Length; }
	public override int GetTotalEntityBodyLength() { return body.Length; }
	public override string GetKnownRequestHeader(int index) { return context.Request.Headers[GetKnownRequestHeaderName(index)]; }
	public override string GetUnknownRequestHeader(string name) { return context.Request.Headers[name]; }

	public override string[][] GetUnknownRequestHeaders() {
		var all = new System.Collections.Generic.List<string[]>();
		foreach (string name in context.Request.Headers) {
			if (GetKnownRequestHeaderIndex(name) < 0) all.Add(new[] {name, context.Request.Headers[name]});
		}
		return all.ToArray();
	}

	public override void SendStatus(int code, string description) {
		context.Response.StatusCode = code;
		context.Response.StatusDescription = description;
	}

	public override void SendKnownResponseHeader(int index, string value) {
		if (index == HeaderContentType) context.Response.ContentType = value;
	}
	public override void SendUnknownResponseHeader(string name, string value) { context.Response.AddHeader(name, value); }
	public override void SendResponseFromMemory(byte[] data, int length) { answer.Write(data, 0, length); }
	public override void FlushResponse(bool final) {}

	public override void EndOfRequest() {
		context.Response.ContentLength64 = answer.Length;
		answer.WriteTo(context.Response.OutputStream);
		context.Response.Close();
	}
}
