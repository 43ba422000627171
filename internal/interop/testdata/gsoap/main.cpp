// Calls both services with gSOAP, and reports what it understood; or serves
// them. Run as
//
//	main client CATALOG-URL INVENTORY-URL VERSION TEXT
//	main server PORT TEXT
#include "view.h"
#include "soapCatalogSoapProxy.h"
#include "soapCatalogSoapService.h"
#include "soapInventorySoapProxy.h"
#include "soapInventorySoapService.h"
#include "CatalogSoap.nsmap"
#include <functional>
#include <iostream>

static struct soap *newSoap() { return soap_new1(SOAP_C_UTFSTRING); } // std::string is UTF-8

static t__Item *newItem(struct soap *soap)
{
	t__Item *x = soap_new_t__Item(soap);
	x->sku = "A-1";
	x->price = soap_new_t__Money(soap);
	x->price->__item = "19.90";
	x->price->currency = "CHF";
	x->discount = soap_new_std__string(soap);
	*x->discount = "0.5";
	return x;
}

// mend changes what gSOAP would write as a prefix bound to no namespace.
static void mend(o__Order *o)
{
	if (o->kind.compare(0, 3, "\"\":") == 0) o->kind.erase(0, 3);
}

// run makes a call, which fills the view or returns an error of gSOAP, and
// reports it.
static void run(struct soap *soap, const std::string &step, std::function<int(view &)> call)
{
	view v;
	std::string error;
	if (call(v)) {
		soap_set_fault(soap);
		const char **s = soap_faultstring(soap);
		v["reason"] = s && *s ? *s : "";
		v["code"] = *soap_faultcode(soap);
		if (soap->error != SOAP_FAULT && soap->error != SOAP_CLI_FAULT && soap->error != SOAP_SVR_FAULT)
			error = "error " + std::to_string(soap->error) + ": " + v["reason"];
		SOAP_ENV__Detail *d = soap->fault->SOAP_ENV__Detail ? soap->fault->SOAP_ENV__Detail : soap->fault->detail;
		if (d && d->o__OutOfStock) {
			v["detail.@name"] = "OutOfStock";
			v["detail.sku"] = d->o__OutOfStock->sku;
			v["detail.available"] = text(d->o__OutOfStock->available);
		}
		if (d && d->o__InvalidOrder) {
			v["detail.@name"] = "InvalidOrder";
			for (size_t i = 0; i < d->o__InvalidOrder->reason.size(); i++)
				v[at("detail.reason", i)] = d->o__InvalidOrder->reason[i];
		}
	}
	std::cout << "{\"step\":" << json(step) << ",\"view\":" << json(v);
	if (!error.empty()) std::cout << ",\"error\":" << json(error);
	std::cout << "}" << std::endl;
}

static int client(char **argv)
{
	const bool soap12 = std::string(argv[2]) == "1.2";
	const std::string hard = argv[3];
	struct soap *soap = newSoap();
	CatalogSoapProxy c(soap);
	if (!soap12) { // which is the first choice in a description with SOAP 1.2
		std::swap(namespaces[0].ns, namespaces[0].in);
		std::swap(namespaces[1].ns, namespaces[1].in);
		soap_set_namespaces(soap, namespaces);
	}
	c.soap_endpoint = argv[0];

	for (const char *which : {"full", "sparse", "texts"}) {
		_o__GetOrder get;
		get.which = which;
		_o__GetOrderResponse got;
		run(soap, std::string("GetOrder ") + which, [&](view &v) {
			if (c.GetOrder(&get, got)) return c.soap->error;
			v = of(soap, got.order);
			return SOAP_OK;
		});
		run(soap, std::string("EchoOrder ") + which, [&](view &v) {
			_o__EchoOrder echo;
			echo.order = got.order;
			mend(got.order);
			_o__EchoOrderResponse back;
			if (c.EchoOrder(&echo, back)) return c.soap->error;
			v = of(soap, back.order);
			return SOAP_OK;
		});
	}
	for (const char *which : {"derived", "mixed", "plain", "substituted"}) {
		_o__GetParcel get;
		get.which = which;
		_o__GetParcelResponse got;
		run(soap, std::string("GetParcel ") + which, [&](view &v) {
			if (c.GetParcel(&get, got)) return c.soap->error;
			v = of(soap, got.parcel);
			return SOAP_OK;
		});
		run(soap, std::string("EchoParcel ") + which, [&](view &v) {
			o__Parcel back;
			if (c.EchoParcel(got.parcel, back)) return c.soap->error;
			v = of(soap, &back);
			return SOAP_OK;
		});
	}
	run(soap, "Ping", [&](view &v) {
		_o__Session session;
		session.user = hard;
		session.calls = 41;
		c.soap_header(&session);
		_o__Ping ping;
		ping.text = "hello";
		_o__PingResponse answer;
		if (c.Ping(&ping, answer)) return c.soap->error;
		v["text"] = answer.text;
		v["user"] = c.soap_header()->o__Session->user;
		v["calls"] = text(c.soap_header()->o__Session->calls);
		c.soap_noheader();
		return SOAP_OK;
	});
	for (const char *kind : {"stock", "invalid", "denied", "broken", "ok"}) {
		run(soap, std::string("Check ") + kind, [&](view &v) {
			_o__Check check;
			check.kind = kind;
			_o__CheckResponse answer;
			if (c.Check(&check, answer)) return c.soap->error;
			v["ok"] = text(answer.ok);
			return SOAP_OK;
		});
	}
	run(soap, "Notify", [&](view &) {
		_o__Notify n;
		n.text = hard;
		return c.Notify(&n);
	});
	run(soap, "Sum", [&](view &v) {
		_o__Sum sum;
		sum.a = -5;
		sum.b = 1LL << 40;
		sum.c = 0.25;
		sum.negative = true;
		_o__SumResponse answer;
		if (c.Sum(&sum, answer)) return c.soap->error;
		v["sum"] = text(answer.sum);
		return SOAP_OK;
	});
	if (soap12) return 0;

	InventorySoapProxy i(soap);
	soap_set_namespaces(soap, namespaces);
	i.soap_endpoint = argv[1];
	run(soap, "Add", [&](view &v) {
		i__AddResponse answer;
		if (i.Add(40, 2, answer)) return i.soap->error;
		v["sum"] = text(answer.sum);
		return SOAP_OK;
	});
	run(soap, "Store", [&](view &v) {
		t__Category root, child;
		root.title = "root";
		child.title = "größer";
		root.category.push_back(&child);
		i__StoreResponse answer;
		if (i.Store(newItem(soap), &root, t__Status__in_x0020transit, answer)) return i.soap->error;
		add(v, "item", answer.item);
		v["shelf"] = answer.shelf;
		return SOAP_OK;
	});
	return 0;
}

static view seen;
static std::string hardText;

// Both bindings of the description are one service, with an operation each.
class Catalog : public CatalogSoapService {
public:
	Catalog(struct soap *s) : CatalogSoapService(s) {}
	CatalogSoapService *copy() { return NULL; } // one thread

	int EchoOrder(_o__EchoOrder *in, _o__EchoOrderResponse &out)
	{
		seen = of(soap, in->order);
		mend(in->order);
		out.order = in->order;
		return SOAP_OK;
	}
	int EchoParcel(o__Parcel *in, o__Parcel &out)
	{
		seen = of(soap, in);
		out = *in;
		return SOAP_OK;
	}
	int Seen(_o__Seen *, _o__SeenResponse &out)
	{
		out.json = json(seen);
		return SOAP_OK;
	}
	int Ping(_o__Ping *in, _o__PingResponse &out)
	{
		if (soap->header && soap->header->o__Session) soap->header->o__Session->calls++; // sent back
		out.text = in->text;
		return SOAP_OK;
	}
	int Check(_o__Check *in, _o__CheckResponse &out)
	{
		if (in->kind == "denied") return soap_senderfault(hardText.c_str(), NULL);
		if (in->kind == "broken") return soap_receiverfault("the password is hunter2", NULL); // its text is the program's choice
		if (in->kind != "stock" && in->kind != "invalid") {
			out.ok = true;
			return SOAP_OK;
		}
		const bool stock = in->kind == "stock";
		soap_receiverfault(stock ? "OutOfStock" : "InvalidOrder", NULL);
		SOAP_ENV__Detail *d = soap_new_SOAP_ENV__Detail(soap);
		if (stock) {
			d->o__OutOfStock = soap_new__o__OutOfStock(soap);
			d->o__OutOfStock->sku = "A-1";
			d->o__OutOfStock->available = 3;
		} else {
			d->o__InvalidOrder = soap_new__o__InvalidOrder(soap);
			d->o__InvalidOrder->reason = {"no <id>", "größer"};
		}
		(soap->version == 2 ? soap->fault->SOAP_ENV__Detail : soap->fault->detail) = d;
		return SOAP_FAULT;
	}
	int Notify(_o__Notify *in)
	{
		seen = view{{"text", in->text}};
		return send_Notify_empty_response();
	}
	int Sum(_o__Sum *in, _o__SumResponse &out)
	{
		out.sum = in->a + in->b + in->c;
		if (in->negative) out.sum = -out.sum;
		return SOAP_OK;
	}
	int GetOrder(_o__GetOrder *, _o__GetOrderResponse &) { return SOAP_NO_METHOD; }
	int GetParcel(_o__GetParcel *, _o__GetParcelResponse &) { return SOAP_NO_METHOD; }

	int GetOrder_(_o__GetOrder *in, _o__GetOrderResponse &out) { return GetOrder(in, out); }
	int EchoOrder_(_o__EchoOrder *in, _o__EchoOrderResponse &out) { return EchoOrder(in, out); }
	int GetParcel_(_o__GetParcel *in, _o__GetParcelResponse &out) { return GetParcel(in, out); }
	int EchoParcel_(o__Parcel *in, o__Parcel &out) { return EchoParcel(in, out); }
	int Seen_(_o__Seen *in, _o__SeenResponse &out) { return Seen(in, out); }
	int Ping_(_o__Ping *in, _o__PingResponse &out) { return Ping(in, out); }
	int Check_(_o__Check *in, _o__CheckResponse &out) { return Check(in, out); }
	int Notify_(_o__Notify *in) { return Notify(in); }
	int Sum_(_o__Sum *in, _o__SumResponse &out) { return Sum(in, out); }
};

class Inventory : public InventorySoapService {
public:
	Inventory(struct soap *s) : InventorySoapService(s) {}
	InventorySoapService *copy() { return NULL; }

	int Add(int a, int b, i__AddResponse &out)
	{
		out.sum = a + b;
		return SOAP_OK;
	}
	int Store(t__Item *item, t__Category *category, t__Status status, i__StoreResponse &out)
	{
		for (t__Category *c = category; c; c = c->category.empty() ? NULL : c->category[0])
			out.shelf += c->title + "/";
		out.shelf += soap_t__Status2s(soap, status);
		out.item = item;
		return SOAP_OK;
	}
};

static int server(char **argv)
{
	hardText = argv[1];
	struct soap *soap = newSoap();
	Catalog catalog(soap);
	Inventory inventory(soap);
	if (!soap_valid_socket(soap_bind(soap, "127.0.0.1", atoi(argv[0]), 100))) return soap_print_fault(soap, stderr), 1;
	while (soap_valid_socket(soap_accept(soap))) {
		if (!soap_begin_serve(soap)) {
			int err = catalog.dispatch();
			if (err == SOAP_NO_METHOD) err = inventory.dispatch();
			if (err && soap->error != SOAP_STOP) soap_send_fault(soap);
		}
		soap_destroy(soap);
		soap_end(soap);
	}
	return 1;
}

int main(int, char **argv)
{
	return std::string(argv[1]) == "client" ? client(argv + 2) : server(argv + 2);
}
