// What a value of wsdl.exe's classes says, as a map from path to text.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Reflection;
using System.Text;
using System.Xml;
using System.Xml.Serialization;

public class View : SortedDictionary<string, string> {
	static readonly string[] derived = {"customer", "payment"};
	static readonly string[] nillable = {"remark", "quantity"}; // and required: null is nil

	public View() : base(StringComparer.Ordinal) {}

	public static View Of(object v) {
		var view = new View();
		view.Add("", v);
		return view;
	}

	// A parcel is not one object: a bare message is taken apart into parameters.
	public static View OfParcel(Demo.Payment payment, object[] events, object note, XmlElement[] any) {
		var view = new View();
		if (payment is Demo.CardPayment) view.Add("cardpayment", payment);
		else if (payment != null) view.Add("payment", payment);
		for (int i = 0; events != null && i < events.Length; i++)
			view["event[" + i + "]." + (events[i] is string ? "opened" : "moved")] = Text(events[i]);
		if (note != null) view.Add("note", note);
		if (any != null) view.Add("any", any);
		return view;
	}

	public void Add(string path, object v) {
		if (v == null) return;
		if (v is XmlElement) {
			this[path] = ((XmlElement)v).OuterXml;
		} else if (v is Array && !(v is byte[])) {
			int i = 0;
			foreach (object x in (Array)v) Add(path + "[" + i++ + "]", x);
		} else if (v.GetType().Namespace.StartsWith("Demo") && !v.GetType().IsEnum) {
			AddObject(path, v);
		} else {
			this[path] = Text(v);
		}
	}

	void AddObject(string path, object v) {
		int before = Count;
		if (derived.Contains(path)) this[path + ".@type"] = v.GetType().Name;
		foreach (PropertyInfo p in v.GetType().GetProperties()) {
			if (p.Name.EndsWith("Specified") || p.DeclaringType == typeof(System.Web.Services.Protocols.SoapHeader)) continue;
			PropertyInfo specified = v.GetType().GetProperty(p.Name + "Specified");
			if (specified != null && !(bool)specified.GetValue(v)) continue;
			string name = p.Name.ToLowerInvariant();
			object x = p.GetValue(v);
			if (p.Name == "Item") name = x is string ? "delivery" : "pickup"; // a choice
			string at = name == "value" ? path : path == "" ? name : path + "." + name;
			if (name == "items" && x is Demo.Item[]) { // a list in an element is an array
				if (((Array)x).Length == 0) this[at] = "(empty)";
				Add(at + ".item", x);
			} else if (x is DateTime && (name == "due" || name == "born")) {
				this[at] = ((DateTime)x).ToString("yyyy-MM-ddK");
			} else if (x is DateTime && name == "cutoff") {
				this[at] = ((DateTime)x).ToString("HH:mm:ss.FFFFFFFK");
			} else if (x == null && nillable.Contains(name)) {
				this[at] = "(nil)";
			} else {
				Add(at, x);
			}
		}
		if (Count == before && path != "") this[path] = "(empty)";
	}

	static string Text(object v) {
		if (v is bool) return (bool)v ? "true" : "false";
		if (v is double) return ((double)v).ToString("R", CultureInfo.InvariantCulture);
		if (v is float) return ((float)v).ToString("R", CultureInfo.InvariantCulture);
		if (v is DateTime) return XmlConvert.ToString((DateTime)v, XmlDateTimeSerializationMode.RoundtripKind);
		if (v is byte[]) return string.Concat(((byte[])v).Select(b => b.ToString("x2")));
		if (v is XmlQualifiedName) return "{" + ((XmlQualifiedName)v).Namespace + "}" + ((XmlQualifiedName)v).Name;
		if (v is Enum) {
			var field = v.GetType().GetField(v.ToString());
			var name = (XmlEnumAttribute)Attribute.GetCustomAttribute(field, typeof(XmlEnumAttribute));
			return name != null && name.Name != null ? name.Name : v.ToString();
		}
		return Convert.ToString(v, CultureInfo.InvariantCulture);
	}

	public static string Json(string s) {
		var b = new StringBuilder("\"");
		foreach (char c in s) {
			if (c == '"' || c == '\\') b.Append('\\').Append(c);
			else if (c < ' ' || c > '~') b.Append("\\u" + ((int)c).ToString("x4"));
			else b.Append(c);
		}
		return b.Append('"').ToString();
	}

	public string Json() {
		return "{" + string.Join(",", this.Select(e => Json(e.Key) + ":" + Json(e.Value))) + "}";
	}
}
