// Calls both services with the classes that Mono's wsdl.exe makes, and reports
// what it understood. Arguments: URL of the catalog, URL of the inventory, SOAP
// version, a text that is hard to carry.
using System;
using System.Collections.Generic;
using System.Web.Services.Protocols;
using System.Xml;

public static class Client {
	static void Run(string step, Func<View> call) {
		View view = new View();
		string error = null;
		try {
			view = call();
		} catch (SoapException e) {
			view["code"] = e.Code.Name;
			view["reason"] = e.Message;
			if (e.Detail != null) {
				foreach (XmlNode n in e.Detail.ChildNodes) AddDetail(view, n);
			}
		} catch (Exception e) {
			error = e.GetType().Name + ": " + e.Message + (e.InnerException == null ? "" : ": " + e.InnerException.Message);
		}
		Console.WriteLine("{\"step\":" + View.Json(step) + ",\"view\":" + view.Json() + (error == null ? "" : ",\"error\":" + View.Json(error)) + "}");
	}

	// Details have no classes: they are XML.
	static void AddDetail(View view, XmlNode detail) {
		if (!(detail is XmlElement)) return;
		view["detail.@name"] = detail.LocalName;
		int reasons = 0;
		foreach (XmlNode n in detail.ChildNodes) {
			if (n is XmlElement) view["detail." + n.LocalName + (n.LocalName == "reason" ? "[" + reasons++ + "]" : "")] = n.InnerText;
		}
	}

	static View Of(params string[] pairs) {
		var view = new View();
		for (int i = 0; i < pairs.Length; i += 2) view[pairs[i]] = pairs[i + 1];
		return view;
	}

	public static void Main(string[] args) {
		string hard = args[3];
		bool soap12 = args[2] == "1.2";
		var c = new Demo.CatalogService { Url = args[0] };
		if (soap12) c.SoapVersion = SoapProtocolVersion.Soap12;

		foreach (string which in new[] {"full", "sparse", "texts"}) {
			Demo.Order order = null;
			Run("GetOrder " + which, () => View.Of(order = c.GetOrder(which)));
			Run("EchoOrder " + which, () => {
				c.EchoOrder(ref order);
				return View.Of(order);
			});
		}
		foreach (string which in new[] {"derived", "mixed", "plain", "substituted"}) {
			Demo.Payment payment = null;
			object[] events = null;
			Demo.Note note = null;
			XmlElement[] any = null;
			Run("GetParcel " + which, () => {
				Demo.Parcel p = c.GetParcel(which);
				payment = p.Item;
				events = p.Items;
				note = p.note;
				any = p.Any;
				return View.OfParcel(payment, events, note, any);
			});
			Run("EchoParcel " + which, () => {
				c.EchoParcel(ref payment, ref events, ref note, ref any);
				return View.OfParcel(payment, events, note, any);
			});
		}
		Run("Ping", () => {
			c.SessionValue = new Demo.Session { user = hard, calls = 41, MustUnderstand = true };
			string text = "hello";
			c.Ping(ref text);
			return Of("text", text, "user", c.SessionValue.user, "calls", c.SessionValue.calls.ToString());
		});
		foreach (string kind in new[] {"stock", "invalid", "denied", "broken", "ok"})
			Run("Check " + kind, () => Of("ok", c.Check(kind) ? "true" : "false"));
		Run("Notify", () => {
			c.Notify(hard);
			return Of();
		});
		Run("Sum", () => Of("sum", c.Sum(-5, 1L << 40, 0.25, true).ToString("R")));
		if (soap12) return;

		var i = new Demo.Inventory.InventoryService { Url = args[1] };
		Run("Add", () => Of("sum", i.Add(40, 2).ToString()));
		Run("Store", () => {
			var item = new Demo.Inventory.Item {
				sku = "A-1", discount = 0.5m, discountSpecified = true,
				price = new Demo.Inventory.Money { Value = 19.90m, currency = "CHF" },
			};
			var root = new Demo.Inventory.Category {
				title = "root", category = new[] { new Demo.Inventory.Category { title = "größer" } },
			};
			string shelf = i.Store(ref item, root, Demo.Inventory.Status.intransit);
			var view = Of("shelf", shelf);
			view.Add("item", item);
			return view;
		});
	}
}
