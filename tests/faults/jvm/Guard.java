import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.concurrent.atomic.AtomicReference;

/**
 * A JVM that has the library loaded and its guard on: elements that are truncated read as zeros, in interpreted and in
 * compiled code, and the JVM's own uses of signals go on as ever. Arguments: the glue, a directory, how many rounds.
 */
final class Guard {
    static native int enable();

    static native int disable();

    static native long open(String path);

    static native ByteBuffer elements(long array);

    static native int get(long array, long index);

    static native int close(long array);

    static final int ETRUNCATED = -110;
    static final int LEN = 50_000;
    static String directory;

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** A file of LEN ints 1, 2, 3 ... */
    static String make(String name) throws Exception {
        String path = directory + "/" + name;
        ByteBuffer bytes = ByteBuffer.allocate(4 * LEN).order(ByteOrder.nativeOrder());
        for (int at = 0; at < LEN; at++) {
            bytes.putInt(at + 1);
        }
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            file.setLength(0);
            file.write(bytes.array());
        }
        return path;
    }

    static void cut(String path, long size) throws Exception {
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            file.setLength(size);
        }
    }

    static long sum(ByteBuffer elements, int start, int stop) {
        long sum = 0;
        for (int at = start; at < stop; at++) {
            sum += elements.getInt(4 * at);
        }
        return sum;
    }

    /** Several threads read an array of ours while it is truncated. */
    static void ours(String name, int round) throws Exception {
        String path = make(name);
        long array = open(path);
        check(array != 0, "the file can be opened");
        ByteBuffer elements = elements(array).order(ByteOrder.nativeOrder());
        long all = (long) LEN * (LEN + 1) / 2;
        check(sum(elements, 0, LEN) == all, "all elements are there");
        int kept = round * 7919 % (LEN - 2048);
        AtomicReference<Throwable> wrong = new AtomicReference<>();
        Thread[] threads = new Thread[3];
        for (int at = 0; at < threads.length; at++) {
            threads[at] = new Thread(() -> {
                try {
                    for (int again = 0; again < 3; again++) {
                        check(sum(elements, 0, kept) == (long) kept * (kept + 1) / 2, "what is left is right");
                        check(sum(elements, kept, LEN) <= all, "what is gone is zeros");
                    }
                } catch (Throwable throwable) {
                    wrong.set(throwable);
                }
            });
            threads[at].start();
        }
        cut(path, 4L * kept);
        for (Thread thread : threads) {
            thread.join();
        }
        check(wrong.get() == null, "" + wrong.get());
        check(sum(elements, kept, LEN) == 0, "what is gone is zeros");
        check(get(array, 0) == ETRUNCATED, "a later call says so");
        check(close(array) == ETRUNCATED, "closing says so");
    }

    /**
     * One after the other: where compiled code takes many at once, JDK 17 can't make its error of a fault, with us or
     * without.
     */
    static int peek(ByteBuffer elements, int at) {
        return elements.getInt(4 * at);
    }

    /** The JVM's own mapped file: what is gone is an InternalError, as without us. */
    static void itsOwn(String name) throws Exception {
        String path = make(name);
        ByteBuffer elements;
        try (RandomAccessFile file = new RandomAccessFile(path, "rw")) {
            elements = file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 4L * LEN);
        }
        elements.order(ByteOrder.nativeOrder());
        cut(path, 4096);
        boolean thrown = false;
        try {
            int sum = peek(elements, LEN - 1);
            // In compiled code the error may come a little later.
            for (int wait = 0; wait < 1000; wait++) {
                Thread.sleep(1);
            }
            check(false, "no InternalError, but " + sum);
        } catch (InternalError error) {
            thrown = true;
        }
        check(thrown, "an InternalError");
        check(peek(elements, 1023) == 1024, "the rest is there");
    }

    /** A null that compiled code meets by a fault. */
    static int length(String text) {
        return text.length();
    }

    static void nulls() {
        for (int at = 0; at < 20_000; at++) {
            length("text");
        }
        boolean thrown = false;
        try {
            length(null);
        } catch (NullPointerException exception) {
            thrown = true;
        }
        check(thrown, "a NullPointerException");
    }

    static int deep(int depth) {
        return depth + deep(depth + 1);
    }

    static void overflows() {
        boolean thrown = false;
        try {
            deep(0);
        } catch (StackOverflowError error) {
            thrown = true;
        }
        check(thrown, "a StackOverflowError");
    }

    public static void main(String[] arguments) throws Exception {
        System.load(arguments[0]);
        directory = arguments[1];
        int rounds = Integer.parseInt(arguments[2]);
        itsOwn("before");
        check(enable() == 0, "the guard can be turned on");
        for (int round = 0; round < rounds; round++) {
            ours("ours" + round % 4, round);
            if (round % 10 == 0) {
                itsOwn("own" + round);
                nulls();
                overflows();
                System.gc();
            }
        }
        check(disable() == 0, "the guard can be turned off");
        itsOwn("after");
        System.out.println("all is well");
    }
}
