// Both sides of the archive service on JAX-WS RI, with classes that wsimport
// made of its description:
//
//   java Peer serve PORT       until standard input ends
//   java Peer call URL MTOM    MTOM is true or false

import archive.*;
import java.io.*;
import java.security.*;
import java.util.*;
import javax.activation.DataHandler;
import javax.jws.WebService;
import javax.xml.ws.*;
import javax.xml.ws.soap.*;

public class Peer {
    static byte[] pattern(int n, int seed) {
        byte[] b = new byte[n];
        for (int i = 0; i < n; i++) b[i] = (byte) (i * 7 + (i >> 8) + seed);
        return b;
    }

    static byte[] bytes(DataHandler h) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        h.writeTo(out);
        return out.toByteArray();
    }

    static DataHandler handler(byte[] b) {
        return new DataHandler(new javax.activation.DataSource() {
            public InputStream getInputStream() { return new ByteArrayInputStream(b); }
            public OutputStream getOutputStream() { throw new UnsupportedOperationException(); }
            public String getContentType() { return "application/octet-stream"; }
            public String getName() { return ""; }
        });
    }

    static String sum(byte[] b) throws Exception {
        StringBuilder s = new StringBuilder();
        for (byte x : MessageDigest.getInstance("SHA-256").digest(b)) s.append(String.format("%02x", x));
        return s.substring(0, 16) + "/" + b.length;
    }

    // What a document holds, as both sides write it.
    static String view(Document d) throws Exception {
        StringBuilder s = new StringBuilder(d.getTitle());
        s.append(" hash ").append(sum(d.getHash()));
        s.append(" thumbnail ").append(d.getThumbnail() == null ? "none" : sum(d.getThumbnail()));
        s.append(" content ").append(sum(bytes(d.getContent())));
        for (DataHandler a : d.getAppendix()) s.append(" appendix ").append(sum(bytes(a)));
        s.append(" signature ").append(d.getSignature() == null ? "none" : sum(bytes(d.getSignature())));
        return s.toString();
    }

    static Document document(String title, int size, boolean signed) {
        Document d = new Document();
        d.setTitle(title);
        d.setHash(pattern(3000, 1));
        d.setThumbnail(pattern(10, 2));
        d.setContent(handler(pattern(size, 3)));
        d.getAppendix().add(handler(pattern(20, 4)));
        d.getAppendix().add(handler(pattern(70000, 5)));
        if (signed) d.setSignature(handler(pattern(50, 6)));
        return d;
    }

    @WebService(endpointInterface = "archive.Archive", targetNamespace = "urn:example:archive",
        serviceName = "ArchiveService", portName = "Archive", wsdlLocation = "archive.wsdl")
    @MTOM(threshold = 1000)
    public static class Service implements Archive {
        public Document store(Document d) {
            try {
                String seen = view(d);
                System.out.println("got " + seen);
                return document("seen: " + seen, 100000, d.getSignature() != null);
            } catch (Exception e) {
                throw new WebServiceException(e);
            }
        }

        public Labelled label(Label label, Holder<byte[]> photo) {
            try {
                System.out.println("got label " + label.getText() + " photo " + sum(photo.value));
                Labelled l = new Labelled();
                l.setText(label.getText() + " " + sum(photo.value));
                photo.value = pattern(5000, 8);
                return l;
            } catch (Exception e) {
                throw new WebServiceException(e);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        if (args[0].equals("serve")) {
            Endpoint e = Endpoint.publish("http://127.0.0.1:" + args[1] + "/archive", new Service());
            System.out.println("ready");
            while (System.in.read() >= 0) { }
            e.stop();
            System.exit(0);
        }
        ArchiveService s = new ArchiveService(new File("archive.wsdl").toURI().toURL());
        boolean mtom = Boolean.parseBoolean(args[2]);
        Archive a = mtom ? s.getArchive(new MTOMFeature(1000)) : s.getArchive();
        Map<String, Object> ctx = ((BindingProvider) a).getRequestContext();
        ctx.put(BindingProvider.ENDPOINT_ADDRESS_PROPERTY, args[1]);
        System.out.println("stored " + view(a.store(document("from jaxws", 200000, true))));
        Label l = new Label();
        l.setText("l");
        Holder<byte[]> photo = new Holder<>(pattern(4000, 7));
        System.out.println("label " + a.label(l, photo).getText() + " photo " + sum(photo.value));
    }
}
