import java.io.StringWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.xml.bind.JAXBElement;
import javax.xml.datatype.XMLGregorianCalendar;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Element;

/** What a value of wsimport's classes says, as a map from path to text. */
final class View {
	private static final Set<String> LISTS = Set.of("sizes", "colors");
	private static final Set<String> DERIVED = Set.of("customer", "payment");
	private static final Set<String> NILLABLE = Set.of("remark", "quantity"); // and required: null is nil

	static Map<String, String> of(Object o) throws Exception {
		Map<String, String> view = new TreeMap<>();
		add(view, "", o);
		return view;
	}

	private static void add(Map<String, String> view, String path, Object v) throws Exception {
		if (v instanceof JAXBElement<?> e) {
			int dot = path.lastIndexOf('.');
			path = path.substring(0, dot + 1) + e.getName().getLocalPart().toLowerCase(); // of a substitution group
			if (e.isNil()) view.put(path, "(nil)");
			else add(view, path, e.getValue());
		} else if (v instanceof List<?> list) {
			addList(view, path, list);
		} else if (v instanceof demo.Note note) {
			view.put(path, mixed(note.getContent()));
		} else if (v != null && v.getClass().getName().startsWith("demo") && !(v instanceof Enum)) {
			addObject(view, path, v);
		} else if (v != null) {
			view.put(path, text(v));
		}
	}

	private static void addList(Map<String, String> view, String path, List<?> list) throws Exception {
		if (LISTS.contains(path)) {
			view.put(path, list.stream().map(View::text).collect(Collectors.joining(" ")));
			return;
		}
		for (int i = 0; i < list.size(); i++) {
			Object v = list.get(i);
			String at = path + "[" + i + "]";
			if (path.equals("openedormoved")) view.put("event[" + i + "]." + (v instanceof String ? "opened" : "moved"), text(v));
			else if (v instanceof Element e) view.put(at, xml(e));
			else add(view, at, v);
		}
	}

	private static void addObject(Map<String, String> view, String path, Object v) throws Exception {
		int before = view.size();
		if (DERIVED.contains(path)) view.put(path + ".@type", v.getClass().getSimpleName());
		Deque<Class<?>> classes = new ArrayDeque<>();
		for (Class<?> c = v.getClass(); c != Object.class; c = c.getSuperclass()) classes.push(c);
		for (Class<?> c : classes) {
			for (Field f : c.getDeclaredFields()) {
				if (Modifier.isStatic(f.getModifiers())) continue;
				f.setAccessible(true);
				String name = f.getName().toLowerCase();
				String at = name.equals("value") ? path : path.isEmpty() ? name : path + "." + name;
				if (f.get(v) == null && NILLABLE.contains(name)) view.put(at, "(nil)");
				else add(view, at, f.get(v));
			}
		}
		if (view.size() == before && !path.isEmpty()) view.put(path, "(empty)");
	}

	private static String text(Object v) {
		if (v instanceof byte[] b) {
			StringBuilder s = new StringBuilder();
			for (byte x : b) s.append(String.format("%02x", x));
			return s.toString();
		}
		if (v instanceof XMLGregorianCalendar c) return c.toXMLFormat();
		if (v instanceof BigDecimal d) return d.toPlainString();
		if (v instanceof demo.Status s) return s.value();
		if (v instanceof demo.Color c) return c.value();
		return v.toString(); // a QName's is {namespace}local
	}

	/** Mixed content, which is strings and elements. */
	private static String mixed(List<?> content) {
		StringBuilder s = new StringBuilder();
		for (Object o : content) {
			if (o instanceof JAXBElement<?> e) {
				String name = e.getName().getLocalPart();
				s.append("<" + name + " xmlns='" + e.getName().getNamespaceURI() + "'>" + e.getValue() + "</" + name + ">");
			} else {
				s.append(o);
			}
		}
		return s.toString();
	}

	private static String xml(Element e) throws Exception {
		Transformer t = TransformerFactory.newInstance().newTransformer();
		t.setOutputProperty(OutputKeys.OMIT_XML_DECLARATION, "yes");
		StringWriter w = new StringWriter();
		t.transform(new DOMSource(e), new StreamResult(w));
		return w.toString();
	}

	static String json(String s) {
		StringBuilder b = new StringBuilder("\"");
		for (char c : s.toCharArray()) {
			if (c == '"' || c == '\\') b.append('\\').append(c);
			else if (c < ' ' || c > '~') b.append(String.format("\\u%04x", (int) c));
			else b.append(c);
		}
		return b.append('"').toString();
	}

	static String json(Map<String, String> view) {
		return view.entrySet().stream().map(e -> json(e.getKey()) + ":" + json(e.getValue()))
			.collect(Collectors.joining(",", "{", "}"));
	}
}
