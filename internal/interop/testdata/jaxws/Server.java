import com.sun.net.httpserver.HttpServer;
import demo.inventory.Inventory;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.TreeMap;
import javax.jws.WebService;
import javax.xml.namespace.QName;
import javax.xml.soap.SOAPConstants;
import javax.xml.soap.SOAPFactory;
import javax.xml.ws.Endpoint;
import javax.xml.ws.Holder;
import javax.xml.ws.soap.SOAPBinding;
import javax.xml.ws.soap.SOAPFaultException;

/** Serves both descriptions with JAX-WS. Arguments: port, SOAP version. */
public final class Server {
	private static volatile Map<String, String> seen = new TreeMap<>();
	private static boolean soap12;

	private static void remember(Object v) {
		try {
			seen = View.of(v);
		} catch (Exception e) {
			throw new IllegalStateException(e);
		}
	}

	@WebService(endpointInterface = "demo.Catalog", targetNamespace = "http://example.com/catalog")
	public static class Catalog implements demo.Catalog {
		public demo.Order getOrder(String which) { throw new UnsupportedOperationException(); }
		public demo.Parcel getParcel(String which) { throw new UnsupportedOperationException(); }
		public void echoOrder(Holder<demo.Order> order) { remember(order.value); }
		public demo.Parcel echoParcel(demo.Parcel p) {
			remember(p);
			return p;
		}
		public String seen() { return View.json(seen); }
		public void ping(Holder<String> text, Holder<demo.Session> session) {
			session.value.setCalls(session.value.getCalls() + 1);
		}
		public boolean check(String kind) throws demo.InvalidOrder_Exception, demo.OutOfStock_Exception {
			switch (kind) {
			case "stock":
				demo.OutOfStock stock = new demo.OutOfStock();
				stock.setSku("A-1");
				stock.setAvailable(3);
				throw new demo.OutOfStock_Exception("OutOfStock", stock);
			case "invalid":
				demo.InvalidOrder invalid = new demo.InvalidOrder();
				invalid.getReason().add("no <id>");
				invalid.getReason().add("größer");
				throw new demo.InvalidOrder_Exception("InvalidOrder", invalid);
			case "denied":
				throw denied();
			case "broken":
				throw new IllegalStateException("the password is hunter2");
			}
			return true;
		}
		public void notify(String text) { seen = new TreeMap<>(Map.of("text", text)); }
		public double sum(int a, long b, double c, boolean negative) { return negative ? -(a + b + c) : a + b + c; }
	}

	private static SOAPFaultException denied() {
		try {
			SOAPFactory factory = SOAPFactory.newInstance(soap12 ? SOAPConstants.SOAP_1_2_PROTOCOL : SOAPConstants.SOAP_1_1_PROTOCOL);
			QName code = soap12 ? SOAPConstants.SOAP_SENDER_FAULT : new QName(SOAPConstants.URI_NS_SOAP_1_1_ENVELOPE, "Client");
			return new SOAPFaultException(factory.createFault(System.getenv("HARD"), code));
		} catch (Exception e) {
			throw new IllegalStateException(e);
		}
	}

	@WebService(endpointInterface = "demo.inventory.Inventory", targetNamespace = "http://example.com/inventory")
	public static class InventoryImpl implements Inventory {
		public int add(int a, int b) { return a + b; }
		public String store(Holder<demo.inventory.Item> item, demo.inventory.Category category, demo.inventory.Status status) {
			StringBuilder path = new StringBuilder();
			for (var c = category; c != null; c = c.getCategory().isEmpty() ? null : c.getCategory().get(0)) path.append(c.getTitle()).append('/');
			return path + status.value();
		}
	}

	public static void main(String[] args) throws Exception {
		soap12 = args[1].equals("1.2");
		// Nobody may connect before both are there.
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
		Endpoint.create(SOAPBinding.SOAP11HTTP_BINDING, new InventoryImpl()).publish(server.createContext("/inventory"));
		Endpoint.create(soap12 ? SOAPBinding.SOAP12HTTP_BINDING : SOAPBinding.SOAP11HTTP_BINDING, new Catalog()).publish(server.createContext("/catalog"));
		server.start();
	}
}
