// What a value of wsdl2h's types says, as a map from path to text.
#include "soapH.h"
#include <cmath>
#include <map>
#include <sstream>
#include <string>

typedef std::map<std::string, std::string> view;

static std::string json(const std::string &s)
{
	std::string out = "\"";
	for (unsigned char c : s) {
		char buf[8];
		if (c == '"' || c == '\\')
			(out += '\\') += c;
		else if (c < ' ')
			snprintf(buf, sizeof buf, "\\u%04x", c), out += buf;
		else
			out += c;
	}
	return out + '"';
}

static std::string json(const view &v)
{
	std::string out;
	for (const auto &e : v)
		out += (out.empty() ? "{" : ",") + json(e.first) + ":" + json(e.second);
	return out.empty() ? "{}" : out + "}";
}

// text of each type that has one
static std::string text(const std::string &s) { return s; }
static std::string text(bool b) { return b ? "true" : "false"; }
static std::string text(long long n) { return std::to_string(n); }
static std::string text(int n) { return std::to_string(n); }
static std::string text(double d)
{
	if (std::isnan(d)) return "NaN";
	if (std::isinf(d)) return d > 0 ? "+Inf" : "-Inf";
	char buf[64];
	snprintf(buf, sizeof buf, "%.17g", d);
	return buf;
}
static std::string text(float f)
{
	char buf[64];
	snprintf(buf, sizeof buf, "%.9g", f);
	return buf;
}
static std::string instant(time_t t)
{
	char buf[64];
	strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%SZ", gmtime(&t));
	return buf;
}
static std::string hex(const unsigned char *p, int n)
{
	std::string out;
	char buf[4];
	for (int i = 0; i < n; i++)
		snprintf(buf, sizeof buf, "%02x", p[i]), out += buf;
	return out;
}
static std::string at(const std::string &path, size_t i) { return path + "[" + std::to_string(i) + "]"; }

// put puts an optional value under its path.
template <class T> static void put(view &v, const std::string &path, const T *x)
{
	if (x) v[path] = text(*x);
}

static void add(view &v, const std::string &path, const t__Money *m)
{
	v[path] = m->__item;
	v[path + ".currency"] = m->currency;
}

static void add(view &v, const std::string &path, const t__Party *p)
{
	v[path + ".name"] = p->name;
	if (auto *x = dynamic_cast<const t__Person *>(p)) {
		if (path == "customer") v[path + ".@type"] = "Person";
		put(v, path + ".born", x->born);
	} else if (auto *x = dynamic_cast<const t__Company *>(p)) {
		v[path + ".@type"] = "Company";
		v[path + ".taxnumber"] = x->taxNumber;
		if (x->contact) add(v, path + ".contact", x->contact);
	}
}

static void add(view &v, const std::string &path, const t__Category *c)
{
	v[path + ".title"] = c->title;
	for (size_t i = 0; i < c->category.size(); i++)
		add(v, at(path + ".category", i), c->category[i]);
}

static void add(view &v, const std::string &path, const t__Item *x)
{
	v[path + ".sku"] = x->sku;
	v[path + ".quantity"] = x->quantity ? text(*x->quantity) : "(nil)";
	add(v, path + ".price", x->price);
	put(v, path + ".discount", x->discount);
}

static view of(struct soap *soap, o__Order *o)
{
	view v;
	v["id"] = o->id;
	v["title"] = o->title;
	v["blank"] = o->blank;
	put(v, "comment", o->comment);
	v["remark"] = o->remark ? *o->remark : "(nil)";
	put(v, "memo", o->memo);
	v["status"] = soap_t__Status2s(soap, o->status);
	v["placed"] = instant(o->placed);
	v["local"] = instant(o->local);
	if (o->exact) v["exact"] = instant(*o->exact);
	v["due"] = o->due;
	v["cutoff"] = o->cutoff;
	v["validfor"] = o->validFor;
	v["season"] = o->season;
	v["total"] = o->total;
	v["serial"] = o->serial;
	v["counter"] = std::to_string(o->counter);
	v["size"] = text((long long)o->size);
	v["small"] = text((int)o->small);
	v["ratio"] = text(o->ratio);
	v["factor"] = text(o->factor);
	for (size_t i = 0; i < o->reading.size(); i++)
		v[at("reading", i)] = text(o->reading[i]);
	v["active"] = text(o->active);
	v["picture"] = hex(o->picture.__ptr, o->picture.__size);
	v["checksum"] = hex(o->checksum.__ptr, o->checksum.__size);
	v["link"] = o->link;
	v["kind"] = o->kind;
	v["sizes"] = o->sizes;
	if (o->colors) v["colors"] = soap_t__Colors2s(soap, *o->colors);
	v["weight"] = o->weight;
	add(v, "customer", o->customer);
	if (o->items) {
		if (o->items->item.empty()) v["items"] = "(empty)";
		for (size_t i = 0; i < o->items->item.size(); i++)
			add(v, at("items.item", i), o->items->item[i]);
	}
	for (size_t i = 0; i < o->tag.size(); i++)
		v[at("tag", i)] = o->tag[i];
	if (o->category) add(v, "category", o->category);
	if (o->__union_Order == SOAP_UNION__o__union_Order_delivery) v["delivery"] = *o->union_Order.delivery;
	if (o->__union_Order == SOAP_UNION__o__union_Order_pickup) v["pickup"] = instant(o->union_Order.pickup);
	v["version"] = text(o->version);
	v["channel"] = o->channel;
	put(v, "priority", o->priority);
	put(v, "lang", o->xml__lang);
	return v;
}

static view of(struct soap *, o__Parcel *p)
{
	view v;
	switch (p->__union_Parcel) {
	case SOAP_UNION__o__union_Parcel_t__payment: {
		t__Payment *x = p->union_Parcel.t__payment;
		v["payment.@type"] = "Payment";
		add(v, "payment.amount", x->amount);
		if (auto *bank = dynamic_cast<t__BankPayment *>(x)) {
			v["payment.@type"] = "BankPayment";
			v["payment.account"] = bank->account;
		}
		break;
	}
	case SOAP_UNION__o__union_Parcel_t__cardPayment:
		add(v, "cardpayment.amount", p->union_Parcel.t__cardPayment->amount);
		v["cardpayment.card"] = p->union_Parcel.t__cardPayment->card;
		break;
	}
	for (size_t i = 0; i < p->__union_Parcel_.size(); i++) {
		__o__union_Parcel_ &e = p->__union_Parcel_[i];
		if (e.__union_Parcel_ == SOAP_UNION__o__union_Parcel__opened) v[at("event", i) + ".opened"] = *e.union_Parcel_.opened;
		if (e.__union_Parcel_ == SOAP_UNION__o__union_Parcel__moved) v[at("event", i) + ".moved"] = text(e.union_Parcel_.moved);
	}
	if (p->note) {
		if (p->note->__mixed) v["note"] = p->note->__mixed;
		for (size_t i = 0; i < p->note->__union_Note.size(); i++) {
			__t__union_Note &e = p->note->__union_Note[i];
			if (e.__union_Note == SOAP_UNION__t__union_Note_b) v[at("note", i) + ".b"] = *e.union_Note.b;
			if (e.__union_Note == SOAP_UNION__t__union_Note_i) v[at("note", i) + ".i"] = *e.union_Note.i;
		}
	}
	for (size_t i = 0; i < p->__any.size(); i++)
		v[at("any", i)] = p->__any[i];
	return v;
}
