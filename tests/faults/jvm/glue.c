/* What Guard.java calls. */
#include <jni.h>
#include <mmap_backed_array.h>

JNIEXPORT jint JNICALL Java_Guard_enable(JNIEnv *env, jclass self)
{
    (void)env, (void)self;
    return mba_guard_enable();
}

JNIEXPORT jint JNICALL Java_Guard_disable(JNIEnv *env, jclass self)
{
    (void)env, (void)self;
    return mba_guard_disable();
}

JNIEXPORT jlong JNICALL Java_Guard_open(JNIEnv *env, jclass self, jstring path)
{
    mba_array *array = NULL;
    const char *bytes = (*env)->GetStringUTFChars(env, path, NULL);
    (void)self;
    if (bytes != NULL) {
        (void)mba_open(bytes, MBA_INT32, MBA_RDWR, &array);
        (*env)->ReleaseStringUTFChars(env, path, bytes);
    }
    return (jlong)(intptr_t)array;
}

JNIEXPORT jobject JNICALL Java_Guard_elements(JNIEnv *env, jclass self, jlong array)
{
    mba_array *handle = (mba_array *)(intptr_t)array;
    (void)self;
    return (*env)->NewDirectByteBuffer(env, mba_data_ptr(handle), (jlong)(4 * mba_len(handle)));
}

JNIEXPORT jint JNICALL Java_Guard_get(JNIEnv *env, jclass self, jlong array, jlong index)
{
    int32_t element;
    (void)env, (void)self;
    return mba_get((mba_array *)(intptr_t)array, (size_t)index, &element);
}

JNIEXPORT jint JNICALL Java_Guard_close(JNIEnv *env, jclass self, jlong array)
{
    (void)env, (void)self;
    return mba_close((mba_array *)(intptr_t)array);
}
