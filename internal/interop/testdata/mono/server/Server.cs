// Serves both descriptions with ASP.NET's web services, with the types that
// wsdl.exe makes. Its abstract classes do not serve in Mono, where a method does
// not inherit what is said of it. Arguments: the application's directory, the port.
// HARD is a text that is hard to carry.
using System;
using System.Web;
using System.Web.Services;
using System.Web.Services.Description;
using System.Web.Services.Protocols;
using System.Xml;
using System.Xml.Serialization;

[WebService(Namespace="http://example.com/catalog")]
public class Catalog : WebService {
	const string Orders = "http://example.com/catalog/orders", Action = "http://example.com/catalog/";
	static View seen = new View();
	public Demo.Session session;

	[WebMethod, SoapDocumentMethod(Action + "EchoOrder", RequestNamespace=Orders, ResponseNamespace=Orders)]
	public void EchoOrder(ref Demo.Order order) { seen = View.Of(order); }

	[WebMethod, SoapDocumentMethod(Action + "EchoParcel", ParameterStyle=SoapParameterStyle.Bare)]
	[return: XmlElement("ParcelOut", Namespace=Orders)]
	public Demo.Parcel EchoParcel([XmlElement("ParcelIn", Namespace=Orders)] Demo.Parcel parcel) {
		seen = View.OfParcel(parcel.Item, parcel.Items, parcel.note, parcel.Any);
		return parcel;
	}

	[WebMethod, SoapDocumentMethod(Action + "Seen", RequestNamespace=Orders, ResponseNamespace=Orders)]
	[return: XmlElement("json")]
	public string Seen() { return seen.Json(); }

	[WebMethod, SoapDocumentMethod(Action + "Ping", RequestNamespace=Orders, ResponseNamespace=Orders)]
	[SoapHeader("session", Direction=SoapHeaderDirection.InOut)]
	public void Ping(ref string text) { session.calls++; }

	[WebMethod, SoapDocumentMethod(Action + "Check", RequestNamespace=Orders, ResponseNamespace=Orders)]
	[return: XmlElement("ok")]
	public bool Check(string kind) {
		switch (kind) {
		case "stock":
			throw Fault("OutOfStock", "<OutOfStock xmlns='" + Orders + "'><sku>A-1</sku><available>3</available></OutOfStock>");
		case "invalid":
			throw Fault("InvalidOrder", "<InvalidOrder xmlns='" + Orders + "'><reason>no &lt;id&gt;</reason><reason>größer</reason></InvalidOrder>");
		case "denied":
			throw new SoapException(Environment.GetEnvironmentVariable("HARD"), SoapException.ClientFaultCode);
		case "broken":
			throw new InvalidOperationException("the password is hunter2");
		}
		return true;
	}

	[WebMethod, SoapDocumentMethod(Action + "Notify", RequestNamespace=Orders, OneWay=true)]
	public void Notify(string text) {
		seen = new View();
		seen["text"] = text;
	}

	[WebMethod, SoapDocumentMethod(Action + "Sum", RequestNamespace=Orders, ResponseNamespace=Orders)]
	[return: XmlElement("sum")]
	public double Sum(int a, long b, double c, bool negative) { return negative ? -(a + b + c) : a + b + c; }

	static SoapException Fault(string reason, string detail) {
		var doc = new XmlDocument();
		XmlNode node = doc.CreateElement(SoapException.DetailElementName.Name, SoapException.DetailElementName.Namespace);
		node.InnerXml = detail;
		return new SoapException(reason, SoapException.ServerFaultCode, "", node);
	}
}

[WebService(Namespace="http://example.com/inventory")]
public class Inventory : WebService {
	const string Space = "http://example.com/inventory";

	[WebMethod, SoapRpcMethod(Space + "/Add", RequestNamespace=Space, ResponseNamespace=Space, Use=SoapBindingUse.Literal)]
	[return: XmlElement("sum")]
	public int Add(int a, int b) { return a + b; }

	[WebMethod, SoapRpcMethod(Space + "/Store", RequestNamespace=Space, ResponseNamespace=Space, Use=SoapBindingUse.Literal)]
	[return: XmlElement("shelf")]
	public string Store(ref Demo.Inventory.Item item, Demo.Inventory.Category category, Demo.Inventory.Status status) {
		string path = "";
		for (var c = category; c != null; c = c.category == null ? null : c.category[0]) path += c.title + "/";
		return path + (status == Demo.Inventory.Status.intransit ? "in transit" : status.ToString());
	}
}
