// Calls the desk with the classes that Mono's svcutil makes, and prints what it
// got back. Arguments: URL, a text that is hard to carry.
using System;
using System.Globalization;
using System.ServiceModel;
using example.com.desk.data;

public static class Client {
	static void Print(string path, Ticket t) {
		if (t == null) {
			Console.WriteLine(path + "=nil");
			return;
		}
		var inv = CultureInfo.InvariantCulture;
		Console.WriteLine(path + ".Closed=" + t.Closed);
		Console.WriteLine(path + ".Data=" + (t.Data == null ? "nil" : Convert.ToBase64String(t.Data)));
		Console.WriteLine(path + ".Number=" + t.Number.ToString(inv));
		Console.WriteLine(path + ".Opened=" + t.Opened.ToUniversalTime().ToString("o", inv));
		Console.WriteLine(path + ".Price=" + t.Price.ToString(inv));
		Console.WriteLine(path + ".Title=" + (t.Title == null ? "nil" : t.Title.Replace("\r", "\\r").Replace("\n", "\\n")));
		Print(path + ".Next", t.Next);
	}

	public static void Main(string[] args) {
		Console.OutputEncoding = new System.Text.UTF8Encoding(false);
		var client = new DeskClient(new BasicHttpBinding(), new EndpointAddress(args[0]));
		var inner = new Ticket {
			Closed = true, Number = long.MinValue, Price = decimal.MinValue, Title = args[1],
			Opened = new DateTime(2026, 1, 2, 3, 4, 5, 678, DateTimeKind.Utc),
		};
		var outer = new Ticket {
			Data = new byte[] {0, 255, 16}, Next = inner, Number = long.MaxValue, Price = 0.10m, Title = "",
			Opened = new DateTime(1999, 12, 31, 23, 59, 59, DateTimeKind.Utc),
		};
		Print("ticket", client.Open(outer, 2));
		Print("none", client.Open(null, 0));
	}
}
