import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.Inflater;

/** Compiled loops, deoptimization, implicit null checks, garbage, threads: prints the same by the interpreter and the compilers. */
public class Work {
    interface Shape { double area(); }
    record Circle(double r) implements Shape { public double area() { return 3 * r * r; } }
    record Square(double a) implements Shape { public double area() { return a * a; } }
    record Strip(double a, double b) implements Shape { public double area() { return a * b; } }

    static double areas(Shape[] shapes) {
        double sum = 0;
        for (Shape shape : shapes) sum += shape.area();
        return sum;
    }

    static int length(String s) {
        try {
            return s.length();
        } catch (NullPointerException e) {
            return -1;
        }
    }

    static long mix(int[] a) {
        long sum = 0;
        for (int i = 0; i < a.length; i++) sum = sum * 31 + (a[i] >>> 3 ^ a[i] * 7);
        return sum;
    }

    static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder();
        for (byte b : bytes) out.append(String.format("%02x", b));
        return out.toString();
    }

    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[0]);
        Shape[] shapes = new Shape[300];
        double total = 0;
        for (int round = 0; round < rounds; round++) {
            // The third class comes late: compiled code that knew two is thrown away.
            for (int i = 0; i < shapes.length; i++)
                shapes[i] = i % 2 == 0 ? new Circle(i) : round > rounds / 2 ? new Strip(i, 2) : new Square(i);
            total += areas(shapes);
        }
        System.out.println("shapes " + total);

        long nulls = 0;
        for (int i = 0; i < 40 * rounds; i++) nulls += length(i % 1000 == 999 ? null : "abc");
        System.out.println("nulls " + nulls);

        int[] array = new int[4096];
        for (int i = 0; i < array.length; i++) array[i] = i * i;
        long mixed = 0;
        for (int round = 0; round < rounds; round++) mixed = mixed * 3 + mix(array);
        System.out.println("mix " + mixed);

        BigInteger f = BigInteger.ONE;
        for (int i = 1; i <= 700; i++) f = f.multiply(BigInteger.valueOf(i));
        System.out.println("factorial " + f.mod(new BigInteger("1000000007000000007")) + " " + f.bitLength());

        byte[] data = new byte[200_000];
        for (int i = 0; i < data.length; i++) data[i] = (byte) (i * i >> 5);
        System.out.println("sha256 " + hex(MessageDigest.getInstance("SHA-256").digest(data)));
        Deflater deflater = new Deflater();
        deflater.setInput(data);
        deflater.finish();
        byte[] packed = new byte[data.length + 1000];
        int length = deflater.deflate(packed);
        Inflater inflater = new Inflater();
        inflater.setInput(packed, 0, length);
        byte[] again = new byte[data.length];
        CRC32 crc = new CRC32();
        crc.update(again, 0, inflater.inflate(again));
        System.out.println("crc " + crc.getValue());

        Map<String, List<Integer>> map = new HashMap<>();
        for (int i = 0; i < 60 * rounds; i++) map.computeIfAbsent("k" + i % 977, k -> new ArrayList<>()).add(i);
        long sum = 0;
        for (List<Integer> list : map.values()) for (int i : list) sum += i;
        System.out.println("map " + map.size() + " " + sum);

        ExecutorService pool = Executors.newFixedThreadPool(4);
        AtomicLong counter = new AtomicLong();
        ConcurrentHashMap<Integer, Long> shared = new ConcurrentHashMap<>();
        for (int t = 0; t < 8; t++) {
            int own = t;
            pool.submit(() -> {
                for (int i = 0; i < 5000; i++) {
                    counter.addAndGet(own);
                    shared.merge(i % 100, 1L, Long::sum);
                    synchronized (shapes) { array[0]++; }
                }
            });
        }
        pool.shutdown();
        pool.awaitTermination(5, TimeUnit.MINUTES);
        System.out.println("threads " + counter + " " + shared.values().stream().mapToLong(v -> v).sum() + " " + array[0]);
        ByteBuffer direct = ByteBuffer.allocateDirect(1 << 16);
        for (int i = 0; i < direct.capacity() / 8; i++) direct.putLong(i * 8, Double.doubleToLongBits(Math.sqrt(i)));
        double roots = 0;
        for (int i = 0; i < direct.capacity() / 8; i++) roots += Double.longBitsToDouble(direct.getLong(i * 8));
        System.out.println("roots " + (long) (roots * 1000));
    }
}
