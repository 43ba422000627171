import java.math.BigDecimal;
import java.net.URL;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import javax.xml.ws.Holder;
import javax.xml.ws.soap.SOAPFaultException;

/**
 * Calls both services with JAX-WS, and reports what it understood. Arguments:
 * URL of the catalog, URL of the inventory, SOAP version, a text that is hard to
 * carry.
 */
public final class Client {
	private static void report(String step, Map<String, String> view, String error) {
		System.out.println("{\"step\":" + View.json(step) + ",\"view\":" + View.json(view)
			+ (error == null ? "" : ",\"error\":" + View.json(error)) + "}");
	}

	private static Map<String, String> fault(javax.xml.soap.SOAPFault f, String reason) {
		Map<String, String> view = new TreeMap<>();
		view.put("code", f == null ? "Server" : f.getFaultCode());
		view.put("reason", reason);
		return view;
	}

	/** Reports what call returns, and returns it. */
	private static <T> T run(String step, Callable<T> call) {
		try {
			T v = call.call();
			report(step, v instanceof Map<?, ?> m ? (Map<String, String>) m : View.of(v), null);
			return v;
		} catch (SOAPFaultException e) {
			report(step, fault(e.getFault(), e.getFault().getFaultString()), null);
		} catch (demo.OutOfStock_Exception e) {
			declared(step, e.getMessage(), e.getFaultInfo());
		} catch (demo.InvalidOrder_Exception e) {
			declared(step, e.getMessage(), e.getFaultInfo());
		} catch (Exception e) {
			report(step, Map.of(), e.toString());
		}
		return null;
	}

	private static void declared(String step, String reason, Object detail) {
		Map<String, String> view = new TreeMap<>(Map.of("reason", reason, "detail.@name", detail.getClass().getSimpleName()));
		try {
			View.of(detail).forEach((path, text) -> view.put("detail." + path, text));
			report(step, view, null);
		} catch (Exception e) {
			report(step, Map.of(), e.toString());
		}
	}

	public static void main(String[] args) throws Exception {
		boolean soap12 = args[2].equals("1.2");
		String hard = System.getenv("HARD"); // arguments are in the encoding of the locale
		demo.CatalogService service = new demo.CatalogService(new URL(args[0] + "?wsdl"));
		demo.Catalog c = soap12 ? service.getCatalogSoap12() : service.getCatalogSoap();

		for (String which : List.of("full", "sparse", "texts")) {
			demo.Order order = run("GetOrder " + which, () -> c.getOrder(which));
			run("EchoOrder " + which, () -> {
				Holder<demo.Order> holder = new Holder<>(order);
				c.echoOrder(holder);
				return holder.value;
			});
		}
		for (String which : List.of("derived", "mixed", "plain", "substituted")) {
			demo.Parcel parcel = run("GetParcel " + which, () -> c.getParcel(which));
			run("EchoParcel " + which, () -> c.echoParcel(parcel));
		}
		run("Ping", () -> {
			demo.Session session = new demo.Session();
			session.setUser(hard);
			session.setCalls(41);
			Holder<demo.Session> header = new Holder<>(session);
			Holder<String> text = new Holder<>("hello");
			c.ping(text, header);
			return Map.of("text", text.value, "user", header.value.getUser(), "calls", "" + header.value.getCalls());
		});
		for (String kind : List.of("stock", "invalid", "denied", "broken", "ok")) {
			run("Check " + kind, () -> Map.of("ok", "" + c.check(kind)));
		}
		run("Notify", () -> {
			c.notify(hard);
			return Map.of();
		});
		run("Sum", () -> Map.of("sum", "" + c.sum(-5, 1L << 40, 0.25, true)));
		if (soap12) return;

		demo.inventory.Inventory i = new demo.inventory.InventoryService(new URL(args[1] + "?wsdl")).getInventorySoap();
		run("Add", () -> Map.of("sum", "" + i.add(40, 2)));
		run("Store", () -> {
			demo.inventory.Money price = new demo.inventory.Money();
			price.setValue(new BigDecimal("19.90"));
			price.setCurrency("CHF");
			demo.inventory.Item item = new demo.inventory.Item();
			item.setSku("A-1");
			item.setPrice(price);
			item.setDiscount(new BigDecimal("0.5"));
			demo.inventory.Category root = new demo.inventory.Category(), child = new demo.inventory.Category();
			root.setTitle("root");
			child.setTitle("größer");
			root.getCategory().add(child);
			Holder<demo.inventory.Item> holder = new Holder<>(item);
			String shelf = i.store(holder, root, demo.inventory.Status.IN_TRANSIT);
			Map<String, String> view = new TreeMap<>(Map.of("shelf", shelf));
			View.of(holder.value).forEach((path, text) -> view.put("item." + path, text));
			return view;
		});
	}
}
